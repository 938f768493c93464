package replica

import (
	"slices"
	"time"
)

// How often the places are looked at without being told, and how often what is over is dropped.
const (
	lookEvery  = 500 * time.Millisecond
	sweepEvery = 30 * time.Second
)

// acquaintance is what is remembered of a place from one look to the next.
type acquaintance struct {
	away     time.Time // since when it cannot be reached; zero: it can
	compared bool      // since it was last away
	wanted   []Key     // it has newer states of these
	asks     tally     // of what it is asked for
	asked    tally     // of what it asks for
}

// maxWanted bounds what is remembered to be pulled; the rest is found by comparing.
const maxWanted = 4096

// Replaced says that places or plans may have changed.
func (s *Store) Replaced() {
	s.epoch.Add(1)
	s.hurry()
	select {
	case s.look <- struct{}{}:
	default:
	}
}

// watch is the one writer of the view.
func (s *Store) watch() {
	looks, sweeps := time.NewTicker(lookEvery), time.NewTicker(sweepEvery)
	defer looks.Stop()
	defer sweeps.Stop()
	for {
		select {
		case <-s.look:
			s.see()
		case <-looks.C:
			s.see()
		case <-sweeps.C:
			s.sweep(s.now())
		case <-s.ctx.Done():
			return
		}
	}
}

// see looks at the places.
func (s *Store) see() {
	now := time.Now()
	old, v := s.view.Load(), s.newView(s.cfg.Places(), now)
	if old == nil || !slices.Equal(old.places, v.places) || !slices.Equal(old.lasting, v.lasting) {
		left := s.appoint(v) // first: whoever sees the new places finds somebody to send to them
		s.view.Store(v)
		s.epoch.Add(1)
		if old != nil {
			s.spread(left)
			s.reconsider()
		}
		s.hurry()
	} else if old.self != v.self {
		s.view.Store(v)
		s.hurry()
	}
}

func (s *Store) newView(places []Place, now time.Time) *view {
	s.mu.Lock()
	defer s.mu.Unlock()
	self := Place{Gateway: s.cfg.Gateway, Region: s.cfg.Region, Up: true}
	v := &view{up: []Place{self}, lasting: []Place{self}}
	seen := map[string]bool{}
	for _, p := range places {
		p.RTT = 0 // no part of what is compared
		switch {
		case p.Gateway == self.Gateway:
			v.self = true
		case p.Gateway != "" && !seen[p.Gateway]:
			seen[p.Gateway] = true
			v.places = append(v.places, p)
			s.place(v, p, now)
		}
	}
	for name := range s.met {
		if !seen[name] {
			delete(s.met, name)
		}
	}
	slices.SortFunc(v.places, byName)
	v.live, v.kept = newPlacings(v.up), newPlacings(v.lasting)
	return v
}

func byName(a, b Place) int {
	if a.Gateway < b.Gateway {
		return -1
	}
	return 1
}

func (s *Store) place(v *view, p Place, now time.Time) {
	a := s.met[p.Gateway]
	if a == nil {
		a = &acquaintance{}
		s.met[p.Gateway] = a
	}
	switch {
	case p.Up:
		a.away = time.Time{}
		v.up = append(v.up, p)
	case a.away.IsZero():
		a.away, a.compared = now, false
	}
	if lasting := p; p.Up || now.Sub(a.away) < patience {
		lasting.Up = true
		v.lasting = append(v.lasting, lasting)
	}
}

// appoint has one sender for every place, and returns what waited for those that left or are away.
func (s *Store) appoint(v *view) []Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.cfg.Transport == nil {
		return nil
	}
	var left []Key
	for name, x := range s.senders {
		if !slices.ContainsFunc(v.places, func(p Place) bool { return p.Gateway == name }) {
			left = append(left, x.setUp(false)...)
			x.end()
			delete(s.senders, name)
		}
	}
	for _, p := range v.places {
		x := s.senders[p.Gateway]
		if x == nil {
			x = newSender(s, p.Gateway)
			s.senders[p.Gateway] = x
			s.wg.Go(x.run)
		}
		left = append(left, x.setUp(p.Up)...)
	}
	return left
}

// send queues a record for gateways.
func (s *Store) send(k Key, to []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range to {
		if x := s.senders[name]; x != nil {
			x.add(k)
		}
	}
}

// spread queues records for the places they have now, where they are not yet.
func (s *Store) spread(keys []Key) {
	v := s.view.Load()
	for _, k := range keys {
		r, m, ok := s.state(k)
		if !ok {
			continue
		}
		for _, to := range v.live.of(slotOf(k), r.Owner, r.Region, s.cfg.planOf(r.Service).Copies) {
			if to != s.cfg.Gateway && !s.isAcked(k, to, m) {
				s.send(k, []string{to})
			}
		}
	}
}

func (s *Store) isAcked(k Key, gateway string, m mark) bool {
	sl := s.slot(k)
	sl.mu.Lock()
	defer sl.mu.Unlock()
	e := sl.entries[k]
	return e != nil && e.acked(gateway, m)
}

// state returns a record as it is sent.
func (s *Store) state(k Key) (Record, mark, bool) {
	sl := s.slot(k)
	sl.mu.Lock()
	defer sl.mu.Unlock()
	e := sl.entries[k]
	if e == nil || !e.held() {
		return Record{}, mark{}, false
	}
	return e.rec, e.mark(), true
}

// want takes down that a gateway has a newer state.
func (s *Store) want(gateway string, k Key) {
	s.mu.Lock()
	if a := s.met[gateway]; a != nil && len(a.wanted) < maxWanted {
		a.wanted = append(a.wanted, k)
	}
	s.mu.Unlock()
	s.hurry()
}

// waiting reports how many records have not been taken yet by places that can be reached.
func (s *Store) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, x := range s.senders {
		n += x.load()
	}
	return n
}
