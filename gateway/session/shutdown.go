package session

import (
	"context"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// farewells bounds how many nodes are told at one time that a session is over.
	farewells = 16
	// farewellBound is how long one of them may take to hear it.
	farewellBound = 2 * time.Second
)

// Close ends all sessions: the standalone streams at once, calls when they are answered or ctx ends.
// Nodes are told that their sessions are over as far as ctx allows, except for those of a keeper: they go on
// elsewhere. It returns ctx's error if calls had to be cut. New calls are refused from the beginning.
func (m *Manager) Close(ctx context.Context) error {
	m.gate.Lock()
	m.closing = true
	m.gate.Unlock()
	err := m.drain(ctx)
	m.dismiss(ctx, slices.DeleteFunc(m.all(), (*session).kept))
	m.cancel(errShutdown)
	for _, s := range m.all() {
		s.end(errShutdown)
	}
	m.gate.Lock()
	m.shut = true
	m.gate.Unlock()
	m.tasks.Wait()
	return err
}

// drain waits for the calls under way.
func (m *Manager) drain(ctx context.Context) error {
	for _, s := range m.all() {
		s.streams.listen().end()
	}
	done := make(chan struct{})
	go func() { // no task, which Close waits for: a call whose agent reads slowly ends with its connection
		m.calls.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (m *Manager) all() []*session {
	var all []*session
	m.sessions.Range(func(_, v any) bool {
		all = append(all, v.(*session))
		return true
	})
	return all
}

// expire ends the sessions whose agents have been away for too long.
func (m *Manager) expire(now time.Time) {
	var idle []*session
	for _, s := range m.all() {
		s.streams.sweep(now)
		switch {
		case !s.idle(now, m.cfg.IdleTimeout):
		case !s.owned():
			s.yield()
		case s.expired():
			idle = append(idle, s)
		}
	}
	m.dismiss(m.ctx, idle)
	for _, s := range idle {
		s.end(errExpired)
	}
}

// End ends a session for good, as if it had expired.
func (m *Manager) End(id string) {
	v, ok := m.sessions.Load(id)
	if !ok {
		return
	}
	if s := v.(*session); s.owned() && s.expired() {
		m.dismiss(m.ctx, []*session{s})
		s.end(errExpired)
	}
}

// expired has the keeper forget the session, which only its owner may. Until it does, the session stays.
func (s *session) expired() bool {
	if err := s.erase(Aside); err != nil {
		s.m.log.Debug("session not dropped", "session", s.hash, "cause", err.Error())
		return false
	}
	s.m.log.Info("session expired", "session", s.hash)
	return true
}

// dismiss tells nodes that sessions are over.
func (m *Manager) dismiss(ctx context.Context, sessions []*session) {
	var group errgroup.Group
	group.SetLimit(farewells)
	for _, s := range sessions {
		if ctx.Err() != nil {
			break
		}
		s.leaving.Store(true)
		group.Go(func() error {
			s.abandon(ctx, s.where())
			return nil
		})
	}
	_ = group.Wait() // nobody reports an error
}

// abandon deletes a session at its node, if the node can be told.
func (s *session) abandon(ctx context.Context, p *pin) {
	if !p.lost.Load() {
		s.farewell(ctx, p)
	}
}

func (s *session) farewell(ctx context.Context, p *pin) {
	if p.id == "" || s.credentials() == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, farewellBound)
	defer cancel()
	resp, err := p.do(ctx, http.MethodDelete, listening(s.credentials(), s.version), nil)
	if err != nil {
		s.m.log.Debug("session not deleted", "session", s.hash, "node", string(p.node.ID()), "cause", err.Error())
		return
	}
	discard(resp)
}
