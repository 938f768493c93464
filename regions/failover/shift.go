package failover

import (
	"fmt"
	"time"

	"github.com/quorate/quorate/regions"
)

// shift moves a region's share by what its state allows in dt.
func (s *step) shift(i int, dt time.Duration) {
	r := &s.regions[i]
	switch {
	case r.panic:
		r.share = 1
	case r.state == regions.Off:
		r.share = 0
	case r.state == regions.Evacuating && r.ordered():
		r.share = min(r.share, r.line.at(s.now))
		if s.confirmed(r) { // its traffic cannot wait for the end of the line
			s.empty(i, dt)
		}
	case r.state == regions.Evacuating:
		s.hold(r, s.empty(i, dt))
	default:
		s.approach(i, dt)
	}
	if r.share < crumb {
		r.share = 0
	}
}

// empty takes dt's worth of traffic from a region as far as the others can take it, and returns what
// stops it, if anything does.
func (s *step) empty(i int, dt time.Duration) (stopped string) {
	r := &s.regions[i]
	switch {
	case s.suspect:
		return "most other regions fail too: this gateway suspects itself"
	case !s.another(i):
		return "no other region could take the rest"
	}
	least := s.least(i)
	r.share = min(r.share, max(0, least, r.share-ratio(dt, s.cfg.Evacuate)))
	if least > crumb && r.share <= least+crumb {
		return "the other regions have no room for the rest"
	}
	return ""
}

// hold tells when an evacuation stops, and when it goes on.
func (s *step) hold(r *region, stopped string) {
	switch stopped {
	case r.held:
		return
	case "":
		s.note(r, "evacuation goes on: "+r.trigger)
	default:
		s.note(r, fmt.Sprintf("evacuation held at %.0f%%: %s", r.share*100, stopped))
	}
	r.held = stopped
}

// approach moves a region that takes traffic towards the share that its health allows.
func (s *step) approach(i int, dt time.Duration) {
	r := &s.regions[i]
	target := s.target(i)
	switch {
	case target < r.share:
		if !s.suspect && s.relieved(i) {
			r.share = min(r.share, max(target, s.least(i), r.share-ratio(dt, s.cfg.Evacuate)))
		}
	case r.failures == 0: // what has just failed gets no more
		r.share = min(target, r.share+ratio(dt, s.cfg.Ramp))
	}
}

// target is the share that a region's health allows.
func (s *step) target(i int) float64 {
	r := &s.regions[i]
	health := r.health
	switch {
	case r.panic || !s.fresh(r.checked):
		return 1
	case s.failing(r):
		health = 0
	}
	if health >= enough {
		return 1
	}
	return max(floor, health/enough)
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }

// takes reports whether a region serves traffic and is able to.
func (f *Fleet) takes(r *region) bool {
	return r.share > 0 && !f.failing(r) && !(f.fresh(r.checked) && r.health == 0)
}

// serves reports whether r takes traffic and does not give it away.
func (f *Fleet) serves(r *region) bool {
	return !r.ordered() && r.state != regions.Evacuating && r.state != regions.Off && f.takes(r)
}

// stays reports whether r serves, and not only for want of a better one.
func (f *Fleet) stays(r *region) bool { return !r.panic && f.serves(r) }

// another reports whether some other region stays. Without one nothing is evacuated.
func (f *Fleet) another(i int) bool {
	for j := range f.regions {
		if j != i && f.stays(&f.regions[j]) {
			return true
		}
	}
	return false
}

// relieved reports whether some other region serves.
func (f *Fleet) relieved(i int) bool {
	for j := range f.regions {
		if j != i && f.serves(&f.regions[j]) {
			return true
		}
	}
	return false
}

// least returns the smallest share of a region with which the capacity in service still covers the
// demand. An unknown capacity is not held against anyone.
func (f *Fleet) least(i int) float64 {
	demand, room := 0.0, 0.0
	for j := range f.regions {
		r := &f.regions[j]
		demand += r.demand
		if j == i || !f.serves(r) {
			continue
		}
		if r.capacity == 0 {
			return 0
		}
		room += r.capacity * min(r.share, f.able(r))
	}
	switch short := demand - room; {
	case short <= 0:
		return 0
	case f.regions[i].capacity == 0:
		return 1
	default:
		return min(1, short/f.regions[i].capacity)
	}
}

// able is the part of a region's nodes that can work.
func (f *Fleet) able(r *region) float64 {
	if !f.fresh(r.checked) {
		return 1
	}
	return r.health
}
