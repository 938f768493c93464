package session

import (
	"net/http"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
)

const (
	firstPause = 20 * time.Millisecond // before the standalone stream is opened again on its node
	maxPause   = 2 * time.Second       // doubling up to here
)

// listener carries the standalone stream from node to node for as long as the session lives, whether
// or not the agent reads it now.
type listener struct {
	s     *session
	st    *stream
	pin   *pin
	resp  *http.Response // nil when the stream is not open
	pause time.Duration
	owed  bool // the agent has not been told yet what it may have missed between two nodes
}

func (l *listener) run() {
	defer l.st.end()
	for l.s.ctx.Err() == nil {
		if l.resp != nil {
			l.drain()
		}
		moved := l.s.nextMove()
		if !l.pin.lost.Load() {
			l.wait(moved, max(l.pause, l.st.retry))
		}
		if l.reopen(moved) && l.owed {
			l.bridge()
		}
	}
	if l.resp != nil {
		l.resp.Body.Close()
	}
	l.s.swapAhead(nil).close(l.s.m)
}

// drain passes events on until the node's stream ends.
func (l *listener) drain() {
	before := l.st.position()
	f := l.read()
	l.resp.Body.Close()
	l.resp = nil
	if l.st.position() != before {
		l.pause = firstPause
	}
	l.s.examine(l.pin, f)
}

func (l *listener) read() *fault {
	events := mcp.NewEventReader(l.resp.Body, maxEvent)
	l.st.from = l.pin
	for {
		ev, err := events.Next()
		if err != nil {
			return faultOfBody(l.pin, err)
		}
		l.st.noteID(&ev)
		if ev.Comment {
			l.st.note(ev.Raw)
			continue
		}
		if err := l.s.deliver(l.st, l.pin, ev); err != nil {
			return faultOfBody(l.pin, err)
		}
	}
}

// reopen opens the stream where the session is now. It reports whether the node has taken the request:
// with a stream, or without having one.
func (l *listener) reopen(moved <-chan struct{}) bool {
	p, err := l.s.settled(l.s.m.cfg.Current())
	if err != nil {
		l.wait(moved, l.pause)
		return false
	}
	if p != l.pin {
		l.owed = l.owed || l.pin.placed() // a gateway that hands a session over says itself what may have been missed
		l.pin, l.pause = p, firstPause
		l.st.nodeID, l.st.retry = "", 0
	}
	resp, err := l.get(p)
	if err != nil {
		l.s.examine(p, faultOf(p, err))
		return false
	}
	if l.s.disowned(p, resp, nil) != nil {
		resp.Body.Close()
		return false
	}
	if resp.StatusCode == http.StatusOK && isEventStream(resp.Header) {
		l.resp = resp
		return true
	}
	discard(resp)
	l.st.nodeID = "" // it may be what the node refuses
	return resp.StatusCode == http.StatusMethodNotAllowed
}

// get returns the stream that the move has asked for, or asks itself.
func (l *listener) get(p *pin) (*http.Response, error) {
	a := l.s.swapAhead(nil)
	if a != nil && a.pin == p {
		<-a.done // the request ends with the stay
		return a.resp, a.err
	}
	a.close(l.s.m)
	return l.s.get(p.ctx, p, l.st.nodeID)
}

// wait pauses before another attempt, ever longer, unless the session moves.
func (l *listener) wait(moved <-chan struct{}, d time.Duration) {
	l.pause = min(2*l.pause, maxPause)
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-moved:
	case <-timer.C:
	case <-l.s.ctx.Done():
	}
}

// bridge announces once whatever could have been announced between two nodes.
func (l *listener) bridge() {
	l.owed = false
	_, _, watched := l.s.memory.replay()
	for _, change := range l.s.opening.result.changes(watched) {
		if l.st.message(l.s.ctx, change) != nil {
			return
		}
	}
}

// nextMove returns a channel that is closed when the session has moved.
func (s *session) nextMove() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.moved
}
