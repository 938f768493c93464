package failover

import (
	"slices"
	"time"

	"github.com/quorate/quorate/regions"
)

// step is one step under way: a fleet of its own to change, and what there is to tell.
type step struct {
	Fleet
	effects []Effect
	dt      time.Duration // time that counts for shifting shares
}

// Step returns the fleet after e at now, and what there is to tell of it. It is pure. A clock that goes
// back stands still; events about regions that the fleet does not have only pass the time.
func Step(f Fleet, now time.Time, e Event) (Fleet, []Effect) {
	s := newStep(f, now)
	s.take(e)
	s.settle()
	return s.Fleet, s.effects
}

func newStep(f Fleet, now time.Time) *step {
	s := &step{Fleet: f}
	s.regions = slices.Clone(f.regions)
	if now.After(f.now) {
		// A process that was stopped for an hour must not shift an hour's worth at once.
		s.now, s.dt = now, min(now.Sub(f.now), f.cfg.Interval)
	}
	return s
}

func (s *step) take(e Event) {
	var name string
	switch e := e.(type) {
	case Check:
		name = e.Region
	case Report:
		name = e.Region
	case Load:
		name = e.Region
	case Order:
		name = e.Region
	}
	i := s.index(name)
	if i < 0 {
		return
	}
	r := &s.regions[i]
	switch e := e.(type) {
	case Check:
		s.check(r, e)
	case Report:
		s.report(r, e)
	case Load:
		r.demand, r.capacity = amount(e.Demand), amount(e.Capacity)
	case Order:
		s.accept(r, e)
	}
}

// amount brings a load from outside into range.
func amount(x float64) float64 {
	if !(x > 0) || x > 1e15 {
		return 0
	}
	return x
}

// settle draws the conclusions: who has to change its state, and how far the shares move.
func (s *step) settle() {
	s.suspect = s.isolated()
	s.relax()
	for i := range s.regions {
		s.remember(&s.regions[i])
		s.judge(i)
		s.shift(i, s.dt)
		s.arrive(i)
	}
	s.rescue()
}

// change moves a region into a state.
func (s *step) change(r *region, to regions.RegionState, cause string) {
	s.effects = append(s.effects, Effect{Region: r.name, From: r.state, To: to, Cause: cause})
	r.state, r.cause, r.since = to, cause, s.now
	if to != regions.DegradedRegion {
		r.reason = fine
	}
	if to != regions.Evacuating {
		r.held = ""
	}
}

// note tells a new reason for the state that a region is in.
func (s *step) note(r *region, cause string) {
	if r.cause == cause {
		return
	}
	r.cause = cause
	s.effects = append(s.effects, Effect{Region: r.name, From: r.state, To: r.state, Cause: cause})
}

// remember forgets a strike for every MaxHoldDown that passes well.
func (s *step) remember(r *region) {
	well := (r.state == regions.On || r.state == regions.DegradedRegion) && !s.failing(r)
	switch {
	case !well || r.strikes == 0:
		r.good = s.now
	case s.now.Sub(r.good) >= s.cfg.MaxHoldDown:
		r.strikes, r.good = r.strikes-1, s.now
	}
}
