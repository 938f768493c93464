package session

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
)

// Why a session ends. The agent of errLost has done nothing wrong, and has to begin again all the same.
var (
	errDeleted  = errors.New("session: deleted by the agent")
	errExpired  = errors.New("session: expired")
	errLost     = errors.New("session: lost: no node continues it as it was")
	errShutdown = errors.New("session: the gateway shuts down")
)

// session is one agent's session: what it was told at initialize, what it has set since, and the node
// that serves it now.
type session struct {
	m      *Manager
	id     string
	hash   string        // for logs
	key    uint64        // even over sessions
	life   atomic.Uint64 // of this gateway, which owns it; 0: it is this process's alone
	ctx    context.Context
	cancel context.CancelCauseFunc

	opening *opening // never changes
	version string   // negotiated
	memory  memory
	asks    asks
	streams streams

	agent    atomic.Pointer[http.Header] // of the agent's latest request; a secret, in memory only
	used     atomic.Int64                // of the latest sign of the agent; see Manager.now
	present  atomic.Int64                // requests of the agent that are open now; below 0: it was given away
	numbered atomic.Uint64               // the gateway's own requests
	leaving  atomic.Bool                 // its node is being told that it ends: no move any more
	reading  chan struct{}               // capacity 1: held while the standalone stream is being opened
	listens  atomic.Bool                 // it has been opened

	told  kept
	given given

	mu     sync.Mutex
	pin    *pin
	moving *move
	ahead  *ahead        // asked for and not taken over yet
	moved  chan struct{} // closed at the next move
	calls  map[*call]struct{}
}

// enter lets a request of the agent in, reporting false if the session was given away. exit ends it.
func (s *session) enter(h http.Header) bool {
	if s.present.Add(1) <= 0 {
		s.present.Add(-1)
		return false
	}
	s.agent.Store(&h)
	s.used.Store(s.m.now(time.Now()))
	return true
}

func (s *session) exit() {
	s.used.Store(s.m.now(time.Now()))
	s.present.Add(-1)
}

// credentials returns the header of the agent's latest request, nil if it is not in memory.
func (s *session) credentials() http.Header {
	if h := s.agent.Load(); h != nil {
		return *h
	}
	return nil
}

// idle reports whether the agent has been away for longer than bound.
func (s *session) idle(now time.Time, bound time.Duration) bool {
	return s.present.Load() <= 0 && time.Duration(s.m.now(now)-s.used.Load()) > bound
}

// begin registers a call, unless there are too many.
func (s *session) begin(c *call) error {
	if !s.m.countIn() {
		return errShutdown
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.calls) >= maxCalls {
		s.m.countOut()
		return mcp.Overloaded("calls", 0)
	}
	if s.calls == nil {
		s.calls = make(map[*call]struct{})
	}
	s.calls[c] = struct{}{}
	return nil
}

// finish ends a call. It must be called once.
func (s *session) finish(c *call) {
	c.stop()
	s.asks.close(c)
	s.mu.Lock()
	delete(s.calls, c)
	s.mu.Unlock()
	s.m.countOut()
}

// find returns the call under way that wait accepts, nil if there is none.
func (s *session) find(wait func(*call) bool) *call {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.calls {
		if wait(c) {
			return c
		}
	}
	return nil
}

// over returns why the session has ended, nil if it has not.
func (s *session) over() error { return context.Cause(s.ctx) }

// end ends the session for the given reason. Whatever is under way in it ends too; later requests
// find no session.
func (s *session) end(why error) {
	if !s.m.forget(s) {
		return
	}
	s.cancel(why)
	s.m.watch.remove(s.where())
	if errors.Is(why, errLost) && s.kept() {
		s.m.work(func() { s.eraseLost() })
	}
}

// eraseLost has the keeper forget a session that no node can go on with.
func (s *session) eraseLost() {
	if err := s.erase(Tail); err != nil { // its agents hear that it is lost
		s.m.log.Warn("session not dropped", "session", s.hash, "cause", err.Error())
	}
}

// request returns a request of the gateway's own without params. Its id is a string, which no agent
// that counts its requests uses.
func (s *session) request(method string) []byte {
	id := "quorate-" + strconv.FormatUint(s.numbered.Add(1), 10)
	return []byte(`{"jsonrpc":"2.0","id":"` + id + `","method":"` + method + `"}`)
}

// replayed returns an agent's request under an id of the gateway's own.
func (s *session) replayed(body []byte) ([]byte, error) {
	env, err := mcp.Scan(body)
	if err != nil {
		return nil, err
	}
	id := `"quorate-` + strconv.FormatUint(s.numbered.Add(1), 10) + `"`
	return mcp.ReplaceSpan(body, env.ID, []byte(id)), nil
}
