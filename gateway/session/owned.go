package session

import (
	"iter"
	"math"
	"net/http"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/upstream"
)

// released is what present counts from when a session was given away: no request gets in any more.
const released = math.MinInt64 / 2

// owned reports whether this gateway's present life owns the session. One that is this process's own always is.
func (s *session) owned() bool {
	life := s.life.Load()
	return life == 0 || life == s.m.cfg.Keeper.Life() && s.present.Load() >= 0
}

// kept reports whether a keeper knows of the session.
func (s *session) kept() bool { return s.life.Load() != 0 }

// Owns reports whether the session is here, and owned by this gateway's present life. It is called on the request path.
func (m *Manager) Owns(id string) bool {
	v, ok := m.sessions.Load(id)
	return ok && v.(*session).owned()
}

// lookup returns the session that a request names if it may be served here. It answers the request itself where
// nobody else could know the session.
func (m *Manager) lookup(w http.ResponseWriter, r *http.Request, agent http.Header) (s *session, answered bool) {
	id := r.Header.Get(keySession)
	v, ok := m.sessions.Load(id)
	if !ok && m.cfg.Adopts && r.Header.Get(mcp.HeaderAdopting) != "" {
		v, ok = m.overtaken(r.Context(), id)
	}
	if ok {
		if s = v.(*session); s.owned() && s.enter(agent) {
			return s, false
		}
	}
	return nil, m.Absent(w)
}

// Has reports whether the session is here, on a node or not, and whoever owns it. It is called on the request path.
func (m *Manager) Has(id string) bool {
	_, ok := m.sessions.Load(id)
	return ok
}

// Absent answers a request of a session that is not here, if nobody else could know it; else it reports false, with
// nothing written.
func (m *Manager) Absent(w http.ResponseWriter) bool {
	if m.cfg.Keeper == nil {
		NotFound(w)
		return true
	}
	return false
}

// Allow implements upstream.Permit: a write goes out only while the session is this gateway's, too.
func (c *call) Allow() bool { return c.permit.Allow() && c.s.owned() }

// Fence implements upstream.Permit.
func (c *call) Fence() uint64 { return c.permit.Fence() }

// leave is the permit of an attempt, nil for what is no write.
func (c *call) leave() upstream.Permit {
	if c.permit == nil {
		return nil
	}
	return c
}

// Release gives a session away if nothing of it is under way and no stream of it is open or has anything left to
// read. Nothing of it is served from then on, and asking again gets the same answer.
func (m *Manager) Release(id string) (contents []byte, ok bool) {
	v, ok := m.sessions.Load(id)
	if !ok {
		return nil, false
	}
	s := v.(*session)
	if !s.kept() || !s.release() {
		return nil, false
	}
	s.given.once.Do(func() {
		s.given.contents, s.given.whole = s.contents()
		s.m.log.Info("session given away", "session", s.hash)
		s.part(ErrTaken)
	})
	return s.given.contents, s.given.whole
}

// release closes the session to requests, reporting false while it is in use.
func (s *session) release() bool {
	if s.present.Load() < 0 {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.calls) > 0 || s.moving != nil || s.leaving.Load() || s.over() != nil || s.streams.unread() {
		return false
	}
	return s.present.CompareAndSwap(0, released)
}

// part ends whatever the session does here. Its node is told nothing: it goes on elsewhere.
func (s *session) part(why error) {
	s.leaving.Store(true)
	s.cancel(why)
	s.m.watch.remove(s.where())
}

// Yield lets go of a session that another gateway owns.
func (m *Manager) Yield(id string) {
	if v, ok := m.sessions.Load(id); ok {
		v.(*session).yield()
	}
}

// yieldStale does so unless the session was given away: whoever asked for it may have to ask again.
func (m *Manager) yieldStale(id string) {
	if v, ok := m.sessions.Load(id); ok && v.(*session).present.Load() >= 0 {
		v.(*session).yield()
	}
}

func (s *session) yield() {
	if s.m.forget(s) {
		s.m.log.Info("session goes on at another gateway", "session", s.hash)
		s.part(ErrTaken)
	}
}

// Keepable yields the sessions here that a keeper knows of, whichever life owns them, as they are now. Those that
// were given away are not among them.
func (m *Manager) Keepable() iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for _, s := range m.all() {
			if !s.kept() || s.present.Load() < 0 {
				continue
			}
			if contents, ok := s.contents(); ok && !yield(s.id, contents) {
				return
			}
		}
	}
}
