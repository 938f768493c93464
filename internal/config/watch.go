package config

import (
	"context"
	"crypto/sha256"
	"os"
	"time"
)

// Times of the watcher.
const (
	pollEvery  = time.Second            // between two looks at the file
	settle     = 100 * time.Millisecond // a changed file must stay the same for this long: it may be half written
	settleTurn = 20                     // and is read anyhow after so many turns
)

// Watch follows the file that current was loaded from until ctx ends, and blocks until then. After
// a change it calls onGood with the new configuration, or onBad with what is wrong (Problems), once
// per state of the file and never at the same time. A value on hup (SIGHUP) loads the file at once
// and calls one of them even when nothing changed; hup may be nil. The file may be replaced, be the
// end of swapped symbolic links, or be away for a while; an unchanged content is no change.
func Watch(ctx context.Context, current *Config, hup <-chan os.Signal, onGood func(*Config), onBad func(error)) {
	w := watcher{source: current.source, onGood: onGood, onBad: onBad}
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-hup:
			w.sum = contents(w.path)
			w.load()
		case <-tick.C:
			w.look(ctx)
		}
	}
}

type watcher struct {
	source // path, environment and the contents last loaded, good or bad
	seen   stamp
	onGood func(*Config)
	onBad  func(error)
}

// look loads the file if it holds something else than last time.
func (w *watcher) look(ctx context.Context) {
	now := stampOf(w.path)
	if w.seen != (stamp{}) && now.same(w.seen) {
		return
	}
	w.seen = now
	sum := contents(w.path)
	if sum == w.sum {
		return
	}
	for range settleTurn {
		if !pause(ctx, settle) {
			return
		}
		next := contents(w.path)
		if next == sum {
			break
		}
		sum = next
	}
	if sum != w.sum {
		w.sum = sum
		w.load()
	}
}

func (w *watcher) load() {
	c, err := Load(w.path, w.environ)
	if err != nil {
		w.onBad(err)
		return
	}
	w.sum = c.source.sum
	w.onGood(c)
}

// contents is the hash of a file's contents; an unreadable file has a hash of its own.
func contents(path string) [sha256.Size]byte {
	data, err := readFile(path)
	if err != nil {
		return sha256.Sum256([]byte("unreadable: " + reason(err)))
	}
	return sha256.Sum256(data)
}

// pause waits for d and reports whether ctx still lives.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
