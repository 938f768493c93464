package jetstream

import (
	"sync"
	"time"
)

const (
	// maxTold and maxToldBytes bound the entries that are kept, and the contents of one, which keeps them below 16 MiB.
	maxTold, maxToldBytes = 1024, 16 << 10
	// toldFor is how long an entry is as good as what would be read: who asked is about to ask for a promise.
	toldFor = 2 * time.Second
)

// told is what was answered to hints, whole: a promise that follows writes it again, and needs not read it first. The zero
// value is empty.
type told struct {
	mu  sync.Mutex
	all map[string]toldAt
}

type toldAt struct {
	entry
	at time.Time
}

func (t *told) put(e entry) {
	if len(e.contents) > maxToldBytes {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all == nil {
		t.all = map[string]toldAt{}
	}
	if _, ok := t.all[e.Key]; !ok && len(t.all) >= maxTold {
		for key := range t.all { // any one will do
			delete(t.all, key)
			break
		}
	}
	t.all[e.Key] = toldAt{e, time.Now()}
}

// take returns what was told of a key a moment ago, once; nil: nothing.
func (t *told) take(key string) *entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	one, ok := t.all[key]
	delete(t.all, key)
	if !ok || time.Since(one.at) > toldFor {
		return nil
	}
	return &one.entry
}
