package replica

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Put keeps a state of a record of this gateway's own, and sends it to the record's places. It returns when as many of
// them as copies says have it, or as many as are up; with copies 0 or nobody up, at once. A deletion that is waited for
// is on this gateway's disk too: a restart must not bring back what an agent was told is gone. ErrUnconfirmed: it is
// kept here, and copied later; so is a deletion that ends in ErrDisk. Any other error says that nothing was kept. The
// contents are the store's from here on.
func (s *Store) Put(ctx context.Context, r Record, copies int) error {
	r.Owner, r.Region = s.cfg.Gateway, s.cfg.Region
	if err := s.fit(&r); err != nil {
		return fmt.Errorf("replica: put: %w", err)
	}
	w, err := s.keep(r, copies)
	if err != nil {
		return fmt.Errorf("replica: put: %w", err)
	}
	s.send(r.Key, s.targets(&r))
	if w == nil {
		return nil
	}
	if err := s.await(ctx, w); err != nil || !r.Deleted {
		return err
	}
	return s.FlushLocal(ctx)
}

// fit judges a state by itself.
func (s *Store) fit(r *Record) error {
	switch {
	case s.ctx.Err() != nil:
		return ErrClosed
	case !wellNamed(r):
		return errNamed
	case r.Until <= 0:
		return errEndless
	case r.Deleted:
		r.Contents = nil
		return nil
	case len(r.Contents) > s.cfg.MaxRecord:
		return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(r.Contents), s.cfg.MaxRecord)
	case s.disk != nil && s.disk.full.Load():
		return ErrDisk
	}
	if now, ok := s.Get(r.Key); ok && now.Ballot < r.Ballot {
		return nil // a claim is no change: it is what brings copies together again
	}
	return s.Lagging(r.Service)
}

// A caller's mistakes.
var (
	errNamed   = errors.New("its words are empty, too long, or have characters other than printable ASCII")
	errEndless = errors.New("it has no end")
)

func wellNamed(r *Record) bool {
	plain := func(s string) bool {
		return !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' })
	}
	return r.ID != "" && len(r.ID) <= maxID && len(r.Service) <= maxName && len(r.Owner) <= maxName && len(r.Region) <= maxName &&
		plain(r.ID)
}

// keep stores the state if it is newer than what is known. The wait is nil for a caller who need not wait.
func (s *Store) keep(r Record, copies int) (*wait, error) {
	m := r.mark()
	sl := s.slot(r.Key)
	sl.mu.Lock()
	defer sl.mu.Unlock()
	e := sl.entries[r.Key]
	if e != nil {
		if bars(e.promised, r.Ballot) || e.held() && m != e.mark() && !replaces(e.mark(), m) {
			return nil, ErrStale
		}
	}
	if e == nil || m != e.mark() || e.rec.Owner != r.Owner {
		err := s.alone(e, &r)
		if err == nil {
			e, err = s.set(sl, r, m)
		}
		if err != nil {
			return nil, err
		}
		s.changed(e)
	}
	if copies <= 0 {
		return nil, nil //nolint:nilnil // nobody waits
	}
	w := &wait{key: r.Key, mark: m, need: copies, done: make(chan error, 1)}
	sl.waits = append(sl.waits, w)
	s.answer(sl, r.Key, e)
	return w, nil
}

// replaces is the order for an owner's own states: the same ballot and version with other contents is no newer one.
func replaces(old, fresh mark) bool {
	old.sum, fresh.sum = 0, 0
	return old.below(fresh)
}

func (s *Store) await(ctx context.Context, w *wait) error {
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
	case <-s.ctx.Done():
	}
	sl := s.slot(w.key)
	sl.mu.Lock()
	sl.waits = slices.DeleteFunc(sl.waits, func(x *wait) bool { return x == w })
	sl.mu.Unlock()
	select {
	case err := <-w.done: // it came meanwhile
		return err
	default:
	}
	return fmt.Errorf("replica: put: %w: %w", ErrUnconfirmed, context.Cause(ctx))
}

// confirm takes down that a gateway holds a state, which was sent at a time.
func (s *Store) confirm(k Key, gateway string, m mark, sent int64) {
	sl := s.slot(k)
	sl.mu.Lock()
	defer sl.mu.Unlock()
	e := sl.entries[k]
	if e == nil || !e.held() || e.rec.Owner != s.cfg.Gateway {
		return
	}
	e.confirmed(gateway, m)
	if !m.below(e.mark()) {
		s.rejoined(e)
	}
	e.forgive(gateway)
	switch {
	case e.since.Load() == 0:
	case !m.below(e.mark()):
		s.settled(e)
	default:
		s.postpone(e, sent)
	}
	s.answer(sl, k, e)
}

// unconfirm takes back what a gateway has confirmed: it has lost it.
func (s *Store) unconfirm(gateway string, keys []Key) {
	for _, k := range keys {
		sl := s.slot(k)
		sl.mu.Lock()
		if e := sl.entries[k]; e != nil {
			e.acks = slices.DeleteFunc(e.acks, func(a ack) bool { return a.gateway == gateway })
		}
		sl.mu.Unlock()
	}
}

func (e *entry) confirmed(gateway string, m mark) {
	for i := range e.acks {
		if a := &e.acks[i]; a.gateway == gateway {
			if a.mark.below(m) {
				a.mark = m
			}
			return
		}
	}
	e.acks = append(e.acks, ack{gateway, m})
}

// outranked takes down that another gateway knows a higher ballot for a record that was written here.
func (s *Store) outranked(k Key, ballot uint64) {
	sl := s.slot(k)
	sl.mu.Lock()
	e := sl.entries[k]
	mine := e != nil && e.held() && e.rec.Owner == s.cfg.Gateway && e.rec.Ballot < ballot
	var old Outranked
	if mine {
		old = e.outranked()
		e.promised = max(e.promised, ballot)
		sl.gen.Add(1)
		s.settled(e)
		s.rejoined(e)
		s.dirty(k)
		s.answer(sl, k, e)
	}
	sl.mu.Unlock()
	if mine {
		s.cfg.Superseded(old, ballot, "")
	}
}

// outranked is the state here without its contents; the slot is locked. What an earlier process wrote counts as
// confirmed: a gateway that was killed cannot know, and must not report all that it had.
func (e *entry) outranked() Outranked {
	o := Outranked{Record: e.rec}
	o.Contents = nil
	most := uint64(0)
	if e.before.ballot == e.rec.Ballot {
		most = e.before.version
	}
	for _, a := range e.acks {
		if a.mark.ballot == e.rec.Ballot {
			most = max(most, a.mark.version)
		}
	}
	o.Alone = e.rec.Version - min(most, e.rec.Version)
	return o
}

// sweep drops what is over.
func (s *Store) sweep(now time.Time) {
	for i := range s.slots {
		sl := &s.slots[i]
		sl.mu.Lock()
		for k, e := range sl.entries {
			if e.held() && over(e.rec.Until, now) {
				e.promised = 0 // the id is over, and so is what was promised of it
				s.drop(sl, k, e)
			} else if !e.held() && over(e.promisedUntil, now) {
				s.drop(sl, k, e)
			}
		}
		sl.mu.Unlock()
	}
}
