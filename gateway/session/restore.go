package session

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
)

// epochSize is how many streams, and how many events of the standalone one, a session may have between two
// gateways before numbers could come twice.
const epochSize = 1 << 20

// newEpoch returns where a restored session begins to count: what the gateway before has counted is not known to
// the last, and an event id must not come twice.
func newEpoch() uint64 { return (1 + rand.Uint64N(1<<33)) * epochSize }

// Restore puts a session back that life, this gateway's present one, owns now, with the header of the agent's
// request that asks for it. A session that is here already as its contents say only changes hands; two calls at
// one time make one session.
func (m *Manager) Restore(id string, life uint64, body []byte, agent http.Header) error {
	c, a, err := readContents(body)
	if err != nil {
		return err
	}
	if !m.countIn() {
		return errShutdown
	}
	defer m.countOut()
	for {
		v, here := m.sessions.Load(id)
		if here && v.(*session).handedTo(life, c) {
			return nil
		}
		if !m.reserve() {
			return mcp.Overloaded("sessions", time.Second)
		}
		s := m.restored(id, life, c, a, agent)
		if m.put(s, v, here) {
			s.m.log.Info("session restored", "session", s.hash, "node", string(s.where().node.ID()))
			s.listenAgain(a.listens)
			return nil
		}
		m.count.Add(-1)
		s.part(ErrTaken)
	}
}

// put makes s the session of its id, in the place of what was there.
func (m *Manager) put(s *session, old any, here bool) bool {
	if !here {
		_, taken := m.sessions.LoadOrStore(s.id, s)
		return !taken
	}
	if !m.sessions.CompareAndSwap(s.id, old, s) {
		return false
	}
	m.count.Add(-1)
	old.(*session).part(ErrTaken)
	return true
}

// handedTo makes life the owner of a session that is here, if it is as c says.
func (s *session) handedTo(life uint64, c *contents) bool {
	was := s.life.Load()
	if s.present.Load() < 0 || s.over() != nil {
		return false
	}
	if was == life {
		return true
	}
	body, ok := s.contents()
	if !ok {
		return false
	}
	now, _, err := readContents(body)
	return err == nil && now.same(c) && s.life.CompareAndSwap(was, life)
}

// restored makes the session as c describes it.
func (m *Manager) restored(id string, life uint64, c *contents, a *adopted, agent http.Header) *session {
	s := m.newSession(id, a.opening, agent)
	s.key = c.Key
	s.recall(a)
	s.streams.begin(newEpoch())
	s.own(life)
	s.used.Store(m.now(time.Now()))
	s.pin = s.pinOf(c)
	s.told.state, s.told.waited = s.state(), true
	s.told.state.listens = a.listens
	return s
}

// pinOf is the session's stay at its node, which goes on if the node is there; else it moves with the next request.
func (s *session) pinOf(c *contents) *pin {
	if c.Node != "" && c.Upstream != "" {
		if n, ok := s.m.cfg.Current().Lookup(c.Node); ok && !forwards(n) && !closed(n.Down()) {
			return s.newPin(n, c.Upstream)
		}
	}
	return s.newPinNowhere()
}

// listenAgain opens the standalone stream again for an agent that reads it, or is about to. What it may have missed
// since the gateway before was lost it is told.
func (s *session) listenAgain(listens bool) {
	if !listens || s.listens.Swap(true) {
		return
	}
	l := &listener{s: s, st: s.streams.listen(), pin: s.where(), pause: firstPause, owed: true}
	if !s.m.work(l.run) {
		s.listens.Store(false)
	}
}

// Refusal is what an agent is told of a session that could not be put back.
func refusalOf(err error) *mcp.Error {
	var own *mcp.Error
	switch {
	case errors.As(err, &own):
		return own
	case errors.Is(err, errShutdown):
		return mcp.NothingFits("shutdown", time.Second)
	case errors.Is(err, ErrFormat):
		return mcp.NothingFits("session_format", time.Second)
	}
	return mcp.NothingFits("session_contents", 0)
}
