package replica

import (
	"slices"
	"sync"
)

// placings remembers what placesOf has said of one set of places: it is asked for every record.
type placings struct {
	places []Place
	mu     sync.RWMutex
	known  map[placing][]string
}

type placing struct {
	slot, copies  int
	owner, region string
}

// maxPlacings bounds what is remembered; past it everything is found anew.
const maxPlacings = 64 * Slots

func newPlacings(places []Place) *placings {
	return &placings{places: places, known: map[placing][]string{}}
}

// of returns which gateways hold an owner's copies; nobody may change the answer.
func (p *placings) of(slot int, owner, region string, copies int) []string {
	k := placing{slot, copies, owner, region}
	p.mu.RLock()
	all, ok := p.known[k]
	p.mu.RUnlock()
	if ok {
		return all
	}
	all = placesOf(slot, owner, region, p.places, copies)
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.known) >= maxPlacings {
		clear(p.known)
	}
	p.known[k] = all
	return all
}

func (p *placings) has(gateway string) bool {
	return slices.ContainsFunc(p.places, func(q Place) bool { return q.Gateway == gateway })
}

// should reports whether a gateway is one that holds the record: its owner, or one of the owner's places.
func (p *placings) should(gateway string, r *Record, slot, copies int) bool {
	if !p.has(gateway) {
		return false
	}
	return r.Owner == gateway || slices.Contains(p.of(slot, r.Owner, r.Region, copies), gateway)
}
