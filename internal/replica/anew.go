package replica

import "fmt"

// round is a comparison with every place that is up, under one view of the places: what was missing anywhere had been
// queued when it ended.
type round struct {
	view  *view
	ended int64
}

// rounded takes down that such a comparison succeeded; the first under a view counts.
func (s *Store) rounded(v *view) {
	if r := s.round.Load(); r == nil || r.view != v {
		s.round.Store(&round{v, s.lagged.now()})
	}
}

// made reports whether all records have been copied anew since the places were others, as far as this gateway sends them:
// after the first comparison everything that it had queued has been sent. What has been changed since does not count, nor
// does what a place refuses.
func (s *Store) made(v *view) bool {
	r := s.round.Load()
	if r == nil || r.view != v {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range v.places {
		if x := s.senders[p.Gateway]; x != nil && p.Up && !x.sentSince(r.ended) {
			return false
		}
	}
	return true
}

// sentSince reports whether nothing waited to be sent, or was under way, at some moment since a time.
func (x *sender) sentSince(at int64) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.rested()
	return x.idle >= at
}

// rested takes down that nothing waits and nothing is under way; x.mu is held.
func (x *sender) rested() {
	if x.flying == 0 && x.queue.len() == 0 {
		x.idle = x.s.lagged.now()
	}
}

// anew says why places that have changed do not have all copies yet. A gateway that reaches nobody has nobody to copy to.
func (s *Store) anew(v *view) (why []string) {
	if v.others() == 0 {
		return nil
	}
	for _, p := range v.places {
		if !p.Up && v.kept.has(p.Gateway) {
			why = append(why, p.Gateway+" cannot be reached: its copies are made elsewhere once it has ended, or stays away")
		}
	}
	if len(why) == 0 && !s.made(v) {
		why = append(why, fmt.Sprintf("copies are made anew since the gateways are others: %d records wait", s.waiting()))
	}
	return why
}
