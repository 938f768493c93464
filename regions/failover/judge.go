package failover

import (
	"fmt"
	"math"

	"github.com/quorate/quorate/regions"
)

// reason is why a region is degraded.
type reason uint8

const (
	fine        reason = iota
	ill                // some of its nodes are
	unconfirmed        // it fails, but only from here
	suspected          // it fails, but so do most others
	last               // it fails, but nothing else would take the traffic
	needed             // it fails, but was called up in panic
)

// judge changes a region's state where the evidence or an order says so.
func (s *step) judge(i int) {
	r := &s.regions[i]
	if r.ordered() && !r.panic {
		s.obey(r)
		return
	}
	switch r.state {
	case regions.On, regions.DegradedRegion:
		if !s.evacuate(i) {
			s.degrade(i)
		}
	case regions.Recovering:
		switch {
		case s.evacuate(i):
		case s.failing(r) && !r.panic:
			s.degrade(i)
		}
	case regions.Evacuating, regions.Off:
		if s.ready(r) {
			s.change(r, regions.Recovering, fmt.Sprintf("hold-down of %s over", s.cfg.holdDown(r.strikes)))
		}
	}
}

// evacuate begins to shift a region's traffic away if it must, and reports whether it did.
func (s *step) evacuate(i int) bool {
	r := &s.regions[i]
	if r.panic || s.suspect || !s.confirmed(r) || !s.another(i) {
		return false
	}
	r.strikes = min(r.strikes+1, 32)
	r.trigger = s.failure(r) + ", " + s.confirmers(r)
	s.change(r, regions.Evacuating, r.trigger)
	s.shift(i, s.cfg.Interval)
	return true
}

// degrade marks a region that is on but not well, and unmarks one that is well again.
func (s *step) degrade(i int) {
	r := &s.regions[i]
	why := s.ailment(i)
	switch {
	case why == fine:
		if r.state == regions.DegradedRegion && (r.perfect >= successes || !s.fresh(r.checked)) && r.share >= 1 {
			s.change(r, regions.On, "all checks good again")
		}
	case r.state != regions.DegradedRegion:
		s.change(r, regions.DegradedRegion, s.complaint(r, why))
		r.reason = why
	case why != r.reason:
		r.reason = why
		s.note(r, s.complaint(r, why))
	}
}

func (s *step) ailment(i int) reason {
	r := &s.regions[i]
	switch {
	case !s.fresh(r.checked):
		return fine // nothing is known
	case !s.failing(r):
		if r.health < 1 {
			return ill
		}
		return fine
	case r.panic:
		return needed
	case s.suspect:
		return suspected
	case !s.confirmed(r):
		return unconfirmed
	}
	return last
}

func (s *step) complaint(r *region, why reason) string {
	switch why {
	case ill:
		return fmt.Sprintf("%.0f%% of its nodes are healthy", math.Floor(r.health*100))
	case unconfirmed:
		return s.failure(r) + ", not confirmed by enough other regions"
	case suspected:
		return s.failure(r) + ", but so did most other regions: this gateway suspects itself"
	case last:
		return s.failure(r) + ", but no other region could take its traffic"
	}
	return s.failure(r) + ", but nothing else takes the traffic"
}

// ready reports whether an evacuated region may have its traffic back.
func (s *step) ready(r *region) bool {
	return s.fresh(r.checked) && !r.opinion &&
		s.now.Sub(r.clear) >= s.cfg.holdDown(r.strikes) && s.now.Sub(r.failed) >= s.cfg.quiet()
}

// arrive ends an evacuation that has nothing left to shift, and a recovery that has nothing left to give.
func (s *step) arrive(i int) {
	r := &s.regions[i]
	switch {
	case r.state == regions.Evacuating && r.share == 0:
		s.change(r, regions.Off, s.emptied(r))
	case r.state == regions.Recovering && !r.panic && r.share >= s.target(i) && r.failures == 0:
		if why := s.ailment(i); why != fine {
			s.degrade(i)
		} else if r.share >= 1 {
			s.change(r, regions.On, "all of its traffic is back")
		}
	}
}

func (s *step) emptied(r *region) string {
	if !r.ordered() {
		return "evacuated: " + r.trigger
	}
	return r.order.String() + ", done"
}
