package control

import (
	"sync"
	"time"
)

// behindFor is how long an entry that is committed may stay unapplied at a gateway that had applied everything before:
// while entries come, some are always on their way, and balancers ask several times a second.
const behindFor = time.Second

// behind judges whether this gateway has fallen behind what is committed.
type behind struct {
	mu    sync.Mutex
	even  bool      // it had applied everything once
	index uint64    // committed, and not applied when it was looked at
	since time.Time // when that was
}

// late reports whether entries wait to be applied that should have been.
func (b *behind) late(applied, commit uint64, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if applied >= commit {
		b.even, b.index = true, 0
		return false
	}
	if b.index == 0 || applied >= b.index {
		b.index, b.since = commit, now
	}
	return !b.even || now.Sub(b.since) >= behindFor
}
