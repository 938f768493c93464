package replica

import (
	"fmt"
	"slices"
	"time"
)

// no is what a place has said against the state of a record that it was sent.
type no struct {
	gateway string
	mark    mark
	why     string
}

// grudge is what is remembered of a record that places do not take. That is the record's own failure: it shows as failed,
// and does not stop the changes of others.
type grudge struct {
	nos []no
	// since is when the oldest change was made that nobody has, if every place has refused the record: it stands apart
	// from the lag of all then. 0: it does not.
	since  int64
	wanted bool // it stands apart since there is no room for it, and counts towards maxApart
}

// maxApart bounds the records that stand apart since places have no room for them. Where more are refused it is the places
// that have none left, and what nobody copies must not grow without bound.
const maxApart = 16

// refuses takes down that a gateway does not take a state.
func (s *Store) refuses(k Key, gateway string, m mark, why string) {
	v := s.view.Load()
	sl := s.slot(k)
	sl.mu.Lock()
	defer sl.mu.Unlock()
	e := sl.entries[k]
	if e == nil || !e.held() || e.rec.Owner != s.cfg.Gateway || m != e.mark() {
		return // the state that is here by now has not been refused
	}
	if e.grudge == nil {
		e.grudge = &grudge{}
	}
	e.grudge.nos = append(slices.DeleteFunc(e.grudge.nos, func(n no) bool { return n.gateway == gateway }), no{gateway, m, why})
	to := v.live.of(slotOf(k), s.cfg.Gateway, s.cfg.Region, s.cfg.planOf(e.rec.Service).Copies)
	if len(to) > 0 && !slices.ContainsFunc(to, func(p string) bool { return !e.refusedBy(p) }) {
		s.apart(e)
	}
}

// refusedBy reports whether a gateway has refused the state that is here now.
func (e *entry) refusedBy(gateway string) bool {
	return e.grudge != nil && slices.ContainsFunc(e.grudge.nos, func(n no) bool { return n.gateway == gateway && n.mark == e.mark() })
}

// large reports whether the record is too large for whoever refuses it.
func (g *grudge) large() bool {
	return !slices.ContainsFunc(g.nos, func(n no) bool { return n.why != whyLarge })
}

// apart has a record stand apart from the lag of all; its slot is locked.
func (s *Store) apart(e *entry) {
	g, at := e.grudge, e.since.Load()
	switch {
	case at == 0:
		return
	case g.since != 0: // and was changed meanwhile
	case g.large():
		g.since = at
	case s.lagged.apart.Add(1) <= maxApart:
		g.since, g.wanted = at, true
	default:
		s.lagged.apart.Add(-1)
		return
	}
	s.settled(e)
}

// rejoined: the record has a copy, or is another's. It does not stand apart any more; its slot is locked.
func (s *Store) rejoined(e *entry) {
	if e.grudge == nil {
		return
	}
	if e.grudge.wanted {
		s.lagged.apart.Add(-1)
	}
	e.grudge.since, e.grudge.wanted = 0, false
}

// forgive forgets what a gateway has said against a record; its slot is locked.
func (e *entry) forgive(gateway string) {
	if e.grudge == nil {
		return
	}
	e.grudge.nos = slices.DeleteFunc(e.grudge.nos, func(n no) bool { return n.gateway == gateway })
	if len(e.grudge.nos) == 0 && e.grudge.since == 0 {
		e.grudge = nil
	}
}

// alone says why a record that stands apart is not changed any more: what nobody else has of it has been too much for too
// long. It may become smaller. Its slot is locked.
func (s *Store) alone(e *entry, r *Record) error {
	if e == nil || e.grudge == nil || e.grudge.since == 0 || r.Deleted || r.Ballot > e.rec.Ballot || len(r.Contents) < len(e.rec.Contents) {
		return nil
	}
	lag := time.Duration(s.lagged.now() - e.grudge.since)
	switch most := s.cfg.planOf(r.Service).MaxLag; {
	case lag <= most:
		return nil
	case e.grudge.large():
		return fmt.Errorf("%w: no other gateway takes %d bytes", ErrTooLarge, len(e.rec.Contents))
	default:
		return fmt.Errorf("%w: no gateway takes this record, for %s, at most %s", ErrLag, lag.Round(time.Millisecond), most)
	}
}
