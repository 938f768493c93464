package verify

import "context"

// follower keeps at most one goroutine on a node's feed. The zero value is ready; it belongs to the
// watcher's goroutine.
type follower struct {
	feed   feed
	cancel context.CancelFunc
	done   chan struct{}
}

// follow moves to another feed; the same one is left as it is, also when it has ended because the
// node offers none.
func (f *follower) follow(ctx context.Context, p prober, to feed, changed func()) {
	if f.cancel != nil && f.feed == to {
		return
	}
	f.stop()
	if to == (feed{}) {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	f.feed, f.cancel, f.done = to, cancel, make(chan struct{})
	go func(done chan struct{}) {
		defer close(done)
		p.follow(ctx, to, changed)
	}(f.done)
}

// stop ends the feed and waits for its goroutine.
func (f *follower) stop() {
	if f.cancel == nil {
		return
	}
	f.cancel()
	<-f.done
	*f = follower{}
}
