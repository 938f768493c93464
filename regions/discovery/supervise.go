package discovery

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

const (
	firstWait = 100 * time.Millisecond // before a source that failed is run again, less up to half of it
	lastWait  = 30 * time.Second       // the longest such wait
	goodRun   = time.Minute            // a source that ran so long begins with firstWait anew
)

// runner is one source under supervision.
type runner struct {
	Supervised
	end      context.CancelFunc
	gone     bool   // it is replaced: what it still says does not count. Guarded by Group.mu
	restarts uint64 // guarded by Group.mu
}

var errEnded = errors.New("the source ended without a reason")

// start runs r under supervision. g.mu is held, or g is not shared yet.
func (g *Group) start(r *runner) {
	ctx, end := context.WithCancel(g.ctx)
	r.end = end
	g.running.Go(func() {
		defer end()
		g.supervise(ctx, r)
	})
}

// supervise runs a source again and again until ctx ends. A source that cannot go on is stale.
func (g *Group) supervise(ctx context.Context, r *runner) {
	for wait := firstWait; ; wait = min(2*wait, lastWait) {
		began := time.Now()
		err := g.run(ctx, r)
		if ctx.Err() != nil {
			return
		}
		g.take(r, Answer{Err: err})
		if time.Since(began) >= goodRun {
			wait = firstWait
		}
		if !sleep(ctx, time.Duration(float64(wait)*(1-g.cfg.random()/2))) {
			return
		}
		g.mu.Lock()
		r.restarts++
		g.mu.Unlock()
	}
}

// run runs a source once and returns why it ended. A panic ends the source, not the gateway.
func (g *Group) run(ctx context.Context, r *runner) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
			g.cfg.Logger.Error("source panicked", "source", r.Name, "cause", clip(fmt.Sprint(p), maxCause), "stack", string(debug.Stack()))
		}
	}()
	if err := r.Source.Run(ctx, func(a Answer) { g.take(r, a) }); err != nil {
		return err
	}
	return errEnded
}
