package session

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
)

// keepBound is how long a change may wait for its keeper.
const keepBound = 10 * time.Second

// given is what a session was when it was given away.
type given struct {
	once     sync.Once
	contents []byte
	whole    bool
}

// kept is what a session's keeper has been told.
type kept struct {
	mu    sync.Mutex // held while the keeper is told: one after another
	state state
	over  bool // nothing more is to be told
	// waited: it was told as what an agent waits for. What it was told aside may be nowhere else yet.
	waited bool

	soon atomic.Bool // somebody is about to tell it aside
}

// state tells apart what contents are made of, without making them.
type state struct {
	changes uint64
	pin     *pin
	listens bool
}

func (s *session) state() state {
	return state{changes: s.memory.changed(), pin: s.where(), listens: s.listens.Load()}
}

// keep tells the keeper what the session is now, unless it knows. Whoever waits meanwhile finds that the one
// before has told his change too.
func (s *session) keep(how How) error {
	if !s.kept() {
		return nil
	}
	s.told.mu.Lock()
	defer s.told.mu.Unlock()
	now := s.state()
	switch {
	case s.told.over, !s.owned():
		return ErrTaken
	case s.told.state == now && (s.told.waited || how == Aside):
		return nil
	}
	contents, ok := s.contents()
	if !ok {
		return mcp.Overloaded("session_size", 0)
	}
	ctx, cancel := context.WithTimeout(s.m.ctx, keepBound)
	defer cancel()
	err := s.m.cfg.Keeper.Keep(ctx, s.m.cfg.Service, s.id, contents, how)
	switch {
	case err == nil:
		s.told.state, s.told.waited = now, how == Opening || how == Change
	case errors.Is(err, ErrTaken):
		s.told.over = true
		s.yield()
		return ErrTaken
	}
	return err
}

// keepAside has the keeper told soon. Nobody waits for it.
func (s *session) keepAside() {
	if !s.kept() || s.told.soon.Swap(true) {
		return
	}
	if !s.m.work(func() {
		s.told.soon.Store(false)
		if err := s.keep(Aside); err != nil {
			s.m.log.Debug("session not kept", "session", s.hash, "cause", err.Error())
		}
	}) {
		s.told.soon.Store(false)
	}
}

// erase has the keeper forget the session for good.
func (s *session) erase(how How) error {
	if !s.kept() {
		return nil
	}
	s.told.mu.Lock()
	defer s.told.mu.Unlock()
	if s.told.over {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.m.ctx), keepBound)
	defer cancel()
	if err := s.m.cfg.Keeper.Drop(ctx, s.m.cfg.Service, s.id, how); err != nil {
		return err
	}
	s.told.over = true
	return nil
}

// refused says why the session may not be changed now, nil if it may.
func (s *session) refused() error {
	if !s.kept() {
		return nil
	}
	if e := s.m.cfg.Keeper.Changes(s.m.cfg.Service); e != nil {
		return e
	}
	return nil
}

// refusedTo is refused for a request. One that another gateway has sent on may have lain here while this process was stopped:
// its agent has been answered elsewhere by then, and others may have changed the session since. So where contents are
// kept before agents are answered, this gateway makes no such change while it may not write.
func (s *session) refusedTo(r *http.Request) error {
	err := s.refused()
	if err != nil || r.Header.Get(mcp.HeaderRelay) == "" {
		return err
	}
	if e := s.endless(); e != nil {
		return e
	}
	return nil
}

// endless says why the session may not be ended for good now, nil if it may. Its node is not told then.
func (s *session) endless() *mcp.Error {
	if !s.kept() {
		return nil
	}
	return s.m.cfg.Keeper.Ends(s.m.cfg.Service)
}

// waits says how the keeper is told what an agent waits for who is answered with w.
func waits(w http.ResponseWriter, how How) How {
	if len(w.Header()[mcp.HeaderAuthority]) > 0 {
		return Tail
	}
	return how
}

// sets reports whether a message changes its session.
func sets(method string) bool {
	switch method {
	case mcp.NotificationInitialized, mcp.MethodSetLevel, mcp.MethodSubscribe, mcp.MethodUnsubscribe:
		return true
	}
	return false
}
