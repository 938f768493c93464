package jetstream

import (
	"sync"
	"time"
)

// maxKnown bounds the keys whose last revision is remembered.
const maxKnown = 100_000

// cache is what went through this process of each key, without contents. It may be old: see Store.guess.
type cache struct {
	mu  sync.Mutex
	all map[string]remembered
}

// remembered is an entry and when it may be guessed with.
type remembered struct {
	entry
	from time.Time
}

// get returns what is remembered of a key, and whether it may be guessed with now.
func (c *cache) get(key string) (e entry, known, now bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, ok := c.all[key]
	return r.entry, ok, ok && !time.Now().Before(r.from)
}

// put remembers an entry that took so long to be written. Who writes one key on and on would always be faster than
// another gateway that has to read first; so for twice that long the next writer here reads too.
func (c *cache) put(e entry, took time.Duration) {
	e.contents, e.Digest = nil, nil
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil {
		c.all = map[string]remembered{}
	}
	if _, ok := c.all[e.Key]; !ok && len(c.all) >= maxKnown {
		for key := range c.all { // any one will do
			delete(c.all, key)
			break
		}
	}
	c.all[e.Key] = remembered{e, time.Now().Add(2 * took)}
}

func (c *cache) drop(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.all, key)
}
