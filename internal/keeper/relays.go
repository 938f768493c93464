package keeper

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// relaysBefore is how many requests in a row go to a living owner before it is asked for the session.
	relaysBefore = 4
	// relaysMore is by how much that grows with each time that the session comes here: an agent whose requests are
	// spread over gateways does not take its session along with each of them.
	relaysMore = 4
	// relayedLately is how long ago a request may have been sent that still waits, or whose agent is about to ask again.
	relayedLately = 5 * time.Second
	// maxRelays bounds the sessions whose relays are counted, in two halves, the older of which is forgotten whole.
	maxRelays = 1 << 16
)

// relays counts the requests that went to owners elsewhere.
type relays struct {
	total    atomic.Uint64
	mu       sync.Mutex
	now, old map[string]*relayed // by record
}

type relayed struct {
	count, bound   int
	service, owner string // of the last one
	at             time.Time
}

// of returns what is counted of a record; r.mu is held.
func (r *relays) of(record string) *relayed {
	if c := r.now[record]; c != nil {
		return c
	}
	c := r.old[record]
	if c == nil {
		c = &relayed{bound: relaysBefore}
	}
	if r.now == nil || len(r.now) >= maxRelays/2 {
		r.old, r.now = r.now, map[string]*relayed{}
	}
	r.now[record] = c
	return c
}

// due reports whether the owner should be asked for the session.
func (r *relays) due(record string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.now[record]
	if c == nil {
		c = r.old[record]
	}
	return c != nil && c.count >= c.bound
}

// another counts a request to an owner.
func (r *relays) another(record, service, owner string, now time.Time) {
	r.total.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.of(record)
	c.count++
	c.service, c.owner, c.at = service, owner, now
}

// lately returns the records of requests that went to an owner a moment ago, with their services, at most maxForeseen.
func (r *relays) lately(owner string, now time.Time) map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := map[string]string{}
	for _, half := range [...]map[string]*relayed{r.now, r.old} {
		for record, c := range half {
			if c.owner == owner && now.Sub(c.at) < relayedLately && len(all) < maxForeseen {
				all[record] = c.service
			}
		}
	}
	return all
}

// refused begins anew: the owner needs it itself.
func (r *relays) refused(record string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.of(record).count = 0
}

// moved makes the next move of the session come later.
func (r *relays) moved(record string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.of(record)
	c.count, c.bound = 0, min(c.bound*relaysMore, maxRelays)
}
