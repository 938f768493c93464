package replica

import (
	"sync"
)

// tally remembers what the slots shared with one gateway add up to. Most slots have not changed since the last time it
// was asked, and with many gateways adding up all records for each would take more than copying them.
type tally struct {
	mu     sync.Mutex
	of     string // the question, where the other asks
	places *placings
	epoch  uint64
	known  [Slots]tallied
}

type tallied struct {
	ok     bool
	gen    uint64 // of the slot, when it was added up
	sum    uint64
	agreed bool // the other had the same, and that is taken down
}

// renew forgets what was said of other places or plans.
func (t *tally) renew(of string, places *placings, epoch uint64) {
	if t.of == of && t.places == places && t.epoch == epoch {
		return
	}
	t.of, t.places, t.epoch, t.known = of, places, epoch, [Slots]tallied{}
}

// sum adds up a slot, or remembers.
func (t *tally) sum(s *Store, other string, slot int) (sum uint64, heads []head) {
	gen := s.slots[slot].gen.Load() // before looking: what changes meanwhile is added up again next time
	k := &t.known[slot]
	if k.ok && k.gen == gen && k.agreed {
		return k.sum, nil
	}
	heads = s.shared(t.places, other, slot)
	*k = tallied{ok: true, gen: gen, sum: sumOf(heads)}
	return k.sum, heads
}

// answers returns a sum for every slot, for a gateway that asks.
func (t *tally) answers(s *Store, other string) (all [Slots]uint64) {
	for i := range all {
		gen := s.slots[i].gen.Load()
		k := &t.known[i]
		if !k.ok || k.gen != gen {
			*k = tallied{ok: true, gen: gen, sum: sumOf(s.shared(t.places, other, i))}
		}
		all[i] = k.sum
	}
	return all
}

// tallyFor returns what is remembered of a gateway that asks, or of one that is asked.
func (s *Store) tallyFor(gateway string, asks bool) *tally {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.met[gateway]
	switch {
	case a == nil:
		return &tally{} // it is no place here: nothing is remembered
	case asks:
		return &a.asked
	}
	return &a.asks
}
