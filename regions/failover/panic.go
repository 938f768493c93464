package failover

import (
	"cmp"
	"fmt"
	"time"

	"github.com/quorate/quorate/regions"
)

// rescue calls up the least bad region when nothing has taken the traffic for Timeout.
func (s *step) rescue() {
	if !s.stranded() {
		s.idle = time.Time{}
		return
	}
	if s.idle.IsZero() {
		s.idle = s.now
	}
	if s.now.Sub(s.idle) < s.cfg.Timeout {
		return
	}
	i := s.leastBad()
	if i < 0 || s.regions[i].panic || s.failing(&s.regions[i]) && s.panicking() {
		return // one that fails is enough
	}
	r := &s.regions[i]
	r.panic = true
	cause := fmt.Sprintf("nothing took the traffic for %s: the least bad region serves", s.cfg.Timeout)
	if r.ordered() {
		cause += ", although " + r.order.String()
	}
	if r.state == regions.Evacuating || r.state == regions.Off {
		s.change(r, regions.Recovering, cause)
	} else {
		s.note(r, cause)
	}
	r.share = 1
}

// stranded reports whether traffic was taken from a region, or not given back to it yet, and no region takes it.
func (s *step) stranded() bool {
	gone := false
	for i := range s.regions {
		r := &s.regions[i]
		if s.takes(r) {
			return false
		}
		gone = gone || !r.barred() && (r.state == regions.Evacuating || r.state == regions.Off || r.share == 0)
	}
	return gone || s.panicking()
}

func (s *step) panicking() bool {
	for i := range s.regions {
		if s.regions[i].panic {
			return true
		}
	}
	return false
}

// relax ends the panic of regions that are well again, and of all once another region has served for as
// long as a hold-down must be quiet.
func (s *step) relax() {
	stays := false
	for i := range s.regions {
		stays = stays || s.stays(&s.regions[i])
	}
	switch {
	case !stays:
		s.served = time.Time{}
	case s.served.IsZero():
		s.served = s.now
	}
	over := stays && s.now.Sub(s.served) >= s.cfg.quiet()
	for i := range s.regions {
		r := &s.regions[i]
		switch {
		case !r.panic:
		case over:
			s.calm(r, "other regions take the traffic again")
		case !r.ordered() && s.ready(r):
			s.calm(r, fmt.Sprintf("well for its hold-down of %s", s.cfg.holdDown(r.strikes)))
		}
	}
}

func (s *step) calm(r *region, cause string) {
	s.note(r, cause)
	r.panic = false
	if r.ordered() { // shift it away again, gradually whatever the order says: its time is long over
		r.line = line{from: r.share, start: s.now, end: s.now.Add(s.cfg.Evacuate)}
	}
}

// leastBad returns the region to use when none is good, -1 where every one is turned off.
func (f *Fleet) leastBad() int {
	best := -1
	for i := range f.regions {
		r := &f.regions[i]
		if r.ordered() && r.order.State == OrderOff {
			continue
		}
		if best < 0 || f.better(r, &f.regions[best]) {
			best = i
		}
	}
	return best
}

// better compares two regions by what is known of them. Between equals the own region is nearest.
func (f *Fleet) better(a, b *region) bool {
	bad := func(r *region) int {
		return 8*one(f.failing(r)) + 4*one(f.down(r) && r.cut) + 2*one(f.down(r)) + one(r.ordered())
	}
	return cmp.Or(
		cmp.Compare(bad(a), bad(b)),
		cmp.Compare(f.able(b), f.able(a)),
		cmp.Compare(one(b.name == f.own), one(a.name == f.own)),
		cmp.Compare(a.name, b.name)) < 0
}
