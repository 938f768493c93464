package session

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
)

// open makes the session and answers the agent. An initialize that failed makes none.
func (o *opener) open(n Node, nodeID string, resp *http.Response, m *message) {
	made, err := readPromise(m.data)
	var s *session
	if err == nil && !m.env.HasError {
		if s, err = o.mint(n, nodeID, made); err != nil {
			writeFailure(o.w, mcp.MethodInitialize, err, o.id)
			return
		}
	}
	copyHeader(o.w.Header(), resp.Header)
	if s != nil {
		o.w.Header().Set(keySession, s.id)
		defer s.exit()
		if m.event {
			s.replay(o.w, o.r, m)
			return
		}
	}
	if m.event {
		o.w.WriteHeader(http.StatusOK)
		_, _ = o.w.Write(mcp.AppendEvent(nil, mcp.Event{Name: "message", Data: m.data}))
		return
	}
	o.w.WriteHeader(http.StatusOK)
	_, _ = o.w.Write(m.data) // a failed write is the agent's loss
}

// mint makes the session, which the agent has entered, and has it kept before anybody hears of it.
func (o *opener) mint(n Node, nodeID string, made promise) (*session, error) {
	id, life := o.m.mint()
	s := o.m.newSession(id, &opening{request: bytes.Clone(o.in.Body), id: bytes.Clone(o.id), result: made}, o.in.Header)
	s.own(life)
	s.pin = s.newPin(n, nodeID)
	s.enter(o.in.Header)
	if err := s.keep(waits(o.w, Opening)); err != nil {
		s.m.log.Warn("session not kept", "session", s.hash, "cause", err.Error())
		s.leaving.Store(true)
		if !o.m.work(func() {
			s.abandon(o.m.ctx, s.pin)
			s.part(ErrTaken)
		}) {
			s.part(ErrTaken)
		}
		return nil, err
	}
	o.m.sessions.Store(s.id, s)
	o.minted = true
	o.m.log.Info("session opened", "session", s.hash, "node", string(n.ID()))
	return s, nil
}

// replay gives the agent the events of its initialize, as a stream of the session.
func (s *session) replay(w http.ResponseWriter, r *http.Request, m *message) {
	st := s.streams.open(nil)
	for _, ev := range m.before {
		if st.event(r.Context(), ev) != nil {
			return
		}
	}
	if st.message(r.Context(), m.data) != nil {
		return
	}
	rd, ok := st.attach(0)
	s.streams.close(st, time.Now())
	w.WriteHeader(http.StatusOK)
	if ok {
		st.follow(r.Context(), w, rd)
	}
}

func (m *Manager) newSession(id string, o *opening, agent http.Header) *session {
	s := &session{m: m, id: id, opening: o, version: o.result.version,
		reading: make(chan struct{}, 1), moved: make(chan struct{})}
	s.hash = Hash(s.id)
	s.key = rand.Uint64()
	s.ctx, s.cancel = context.WithCancelCause(m.ctx)
	s.streams.hash, s.streams.alone = s.hash, m.cfg.Alone || m.cfg.Keeper == nil
	s.streams.beat = m.cfg.KeepAlive
	s.streams.limit = bounds{events: m.cfg.BufferEvents, bytes: m.cfg.BufferBytes}
	s.agent.Store(&agent)
	return s
}

// copyThrough passes an answer on that is none of the sessions' business.
func copyThrough(w http.ResponseWriter, resp *http.Response) {
	defer resp.Body.Close()
	copyHeader(w.Header(), resp.Header)
	w.WriteHeader(resp.StatusCode)
	control := http.NewResponseController(w)
	buf := make([]byte, 4<<10)
	for {
		n, err := resp.Body.Read(buf)
		if _, werr := w.Write(buf[:n]); werr != nil || err == io.EOF {
			return
		}
		if err != nil {
			panic(http.ErrAbortHandler) // the agent must not take the part for the whole
		}
		if control.Flush() != nil {
			return
		}
	}
}
