package gateway

import (
	"hash/maphash"
	"sync"

	"github.com/quorate/quorate/regions"
)

// affinity remembers which node issued a handle (a task id, a request state). It is bounded: two
// generations of at most half its limit each, the older one forgotten whole.
type affinity struct {
	mu       sync.Mutex
	seed     maphash.Seed
	limit    int
	now, old map[uint64]regions.NodeID
}

func newAffinity(limit int) *affinity {
	return &affinity{seed: maphash.MakeSeed(), limit: max(limit/2, 1), now: make(map[uint64]regions.NodeID)}
}

// learn notes that node issued handle. Handles are kept as keyed hashes: they can be secrets.
func (a *affinity) learn(handle string, node regions.NodeID) {
	key := maphash.String(a.seed, handle)
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.now) >= a.limit {
		a.old, a.now = a.now, make(map[uint64]regions.NodeID)
	}
	a.now[key] = node
}

// node returns who issued handle, if that is remembered.
func (a *affinity) node(handle string) (regions.NodeID, bool) {
	key := maphash.String(a.seed, handle)
	a.mu.Lock()
	defer a.mu.Unlock()
	id, ok := a.now[key]
	if !ok {
		id, ok = a.old[key]
	}
	return id, ok
}
