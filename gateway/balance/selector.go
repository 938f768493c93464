package balance

import (
	"github.com/quorate/quorate/regions"
)

// Member is one node of a pool as a table shows it.
type Member struct {
	Index  int32 // the caller's name for it
	Weight int32 // 1..1000; anything less counts as 1
	State  regions.State
}

// Live is what the choice asks about members at the moment of a request.
type Live interface {
	// Live returns a member's present; State and Weight are not used.
	Live(index int32) Candidate
	// Excluded reports members that are not wanted. It must give the same answer throughout one choice.
	Excluded(index int32) bool
}

// Mode says how ill a node may be that is chosen.
type Mode uint8

const (
	// Normal: healthy nodes, else degraded ones. When under half are healthy, and some are not ill, all but the
	// dead are one tier (panic). Never a dead one, and none at all where all are ill: another pool may do better.
	Normal Mode = iota
	// Desperate: whatever there is, the dead last.
	Desperate
)

// Selector draws nodes of a pool in a time that does not depend on how many there are, unless most of
// them are excluded or dead. It is immutable.
type Selector struct {
	members  []Member // those that were ever verified
	tiers    [3]lots  // healthy, degraded, and all: the tier of panic
	healthy  int
	fit      int // healthy or degraded
	panicked bool
}

// draws bounds the lots drawn before everything is looked at.
const draws = 16

// NewSelector prepares a pool. Members that were never verified are left out.
func NewSelector(members []Member) *Selector {
	s := &Selector{}
	var healthy, degraded []int32
	for _, m := range members {
		if m.State == regions.Unknown {
			continue
		}
		at := int32(len(s.members))
		s.members = append(s.members, m)
		switch m.State {
		case regions.Healthy:
			healthy = append(healthy, at)
		case regions.Degraded:
			degraded = append(degraded, at)
		}
	}
	s.healthy, s.fit = len(healthy), len(healthy)+len(degraded)
	s.panicked = 2*s.healthy < len(s.members)
	s.tiers[0], s.tiers[1] = newLots(s.members, healthy), newLots(s.members, degraded)
	if s.panicked {
		all := make([]int32, len(s.members))
		for i := range all {
			all[i] = int32(i)
		}
		s.tiers[2] = newLots(s.members, all)
	}
	return s
}

// Len returns how many members can be chosen at all.
func (s *Selector) Len() int { return len(s.members) }

// Pick returns the index of a member, or -1. rnd is 64 random bits. It allocates nothing.
//
// Two members are drawn by weight, and the one whose latency × in-flight calls per weight is lower is
// taken (the power of two choices). A member in its slow start is drawn in proportion to its ramp.
func (s *Selector) Pick(l Live, rnd uint64, m Mode) int32 {
	if len(s.members) == 0 || m == Normal && s.fit == 0 {
		return -1
	}
	for _, tier := range s.order() {
		if a := s.draw(tier, l, &rnd, -1); a >= 0 {
			return s.members[s.better(tier, l, rnd, a)].Index
		}
	}
	return s.look(l, rnd, m)
}

// order is the tiers that are drawn from, the best one first.
func (s *Selector) order() []lots {
	if s.panicked {
		return s.tiers[2:3]
	}
	return s.tiers[:1]
}

// better draws another member and returns the cheaper of the two.
func (s *Selector) better(tier lots, l Live, rnd uint64, a int32) int32 {
	b := s.draw(tier, l, &rnd, a)
	if b < 0 {
		return a
	}
	ca, cb := s.candidate(l, a), s.candidate(l, b)
	if cheaper(&cb, &ca) {
		return b
	}
	return a
}

func (s *Selector) candidate(l Live, at int32) Candidate {
	c := l.Live(s.members[at].Index)
	c.State, c.Weight = s.members[at].State, s.members[at].Weight
	return c
}

// draw returns a living member of a tier that is wanted and is not other, or -1 if none comes up.
func (s *Selector) draw(tier lots, l Live, rnd *uint64, other int32) int32 {
	if len(tier.member) == 0 || other >= 0 && len(tier.member) == 1 {
		return -1
	}
	for range draws {
		*rnd = mix(*rnd)
		at := tier.draw(*rnd)
		if at == other || l.Excluded(s.members[at].Index) {
			continue
		}
		c := l.Live(s.members[at].Index)
		if c.Dead {
			continue
		}
		*rnd = mix(*rnd)
		if c.Ramp > 0 && c.Ramp < 1 && float32(*rnd>>40)/(1<<24) >= c.Ramp {
			continue
		}
		return at
	}
	return -1
}

// look chooses from everything there is: for pools most of whose members are out of the question.
func (s *Selector) look(l Live, rnd uint64, m Mode) int32 {
	best, total := none, uint64(0)
	var chosen int32 = -1
	for i := range s.members {
		if l.Excluded(s.members[i].Index) {
			continue
		}
		c := s.candidate(l, int32(i))
		t := tierOf(&c, s.panicked)
		if m == Normal && t >= s.worst() || t > best || t == none {
			continue
		}
		w := share(&c)
		if t < best {
			best, total = t, 0
		}
		total += w
		rnd = mix(rnd)
		if scale(rnd, total) < w { // weighted reservoir: each ends up chosen by its part of the total
			chosen = int32(i)
		}
	}
	if chosen < 0 {
		return -1
	}
	return s.members[chosen].Index
}

// worst is the first tier that a normal choice does not take from.
func (s *Selector) worst() tier {
	if s.panicked {
		return last
	}
	return third
}
