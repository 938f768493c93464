package session

import (
	"context"
	"net/http"
	"time"
)

// aheadBound is how long a move waits for the standalone stream to begin.
const aheadBound = 50 * time.Millisecond

// ahead is the standalone stream that a move has asked a new node for.
type ahead struct {
	pin  *pin
	stop context.CancelFunc
	done chan struct{}
	resp *http.Response
	err  error
}

// listenAhead opens the standalone stream before anything else is sent to the new node: what its tools
// say outside their own streams would get lost. A node that is slow to begin the stream is not waited for.
func (s *session) listenAhead(ctx context.Context, p *pin) {
	a := s.askAhead(p)
	if a == nil {
		return
	}
	timer := time.NewTimer(aheadBound)
	defer timer.Stop()
	select {
	case <-a.done:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// askAhead asks for the standalone stream; it returns nil if the agent has none.
func (s *session) askAhead(p *pin) *ahead {
	if !s.listens.Load() {
		return nil
	}
	opening, stop := context.WithCancel(p.ctx)
	a := &ahead{pin: p, stop: stop, done: make(chan struct{})}
	if !s.m.work(func() {
		a.resp, a.err = s.get(opening, p, "") //nolint:bodyclose // whoever takes or closes the ahead closes it
		close(a.done)
	}) {
		stop()
		return nil
	}
	s.swapAhead(a).close(s.m)
	return a
}

// swapAhead puts a in the place of the stream asked for before and returns that.
func (s *session) swapAhead(a *ahead) *ahead {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.ahead
	s.ahead = a
	return before
}

// close gives up a stream that nobody has taken over; nil is none.
func (a *ahead) close(m *Manager) {
	if a == nil {
		return
	}
	a.stop()
	m.work(func() {
		<-a.done
		if a.err == nil {
			_ = a.resp.Body.Close()
		}
	})
}
