package failover

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/internal/mcpagent"
)

// outcome is how a call ended for its agent.
type outcome uint8

const (
	answered outcome = iota
	// unknown: the agent was told that the outcome is unknown (-32070).
	unknown
	// untold: the call broke off or got a proxy's 5xx; the agent has to guess.
	untold
	// refused: the agent was told by another error that the call was not made.
	refused
	// barred: the agent was told that this side may not write now (-32071), and nothing was done.
	barred
	// cut: the connection broke while the call was under way, because its other end was killed; see Load.Break.
	cut
)

func classify(err error) outcome {
	var e *mcpagent.CallError
	switch {
	case err == nil:
		return answered
	case !errors.As(err, &e):
		return untold
	case e.Code == CodeUnknown:
		return unknown
	case e.Code == CodeNoAuthority:
		return barred
	case e.Code != 0 || e.Status == 404 || e.Status == 429 || e.Status == 503:
		return refused
	default:
		return untold
	}
}

// maxSamples bounds the failures whose text is kept for the report.
const maxSamples = 10

// recorder counts what all agents see.
type recorder struct {
	calls, onceCalls, lost, unknown, sessions, cut atomic.Int64
	outage                                         atomic.Pointer[Outage]
	alarm                                          alarm
	mu                                             sync.Mutex
	samples                                        []string
	began                                          time.Time
	gated                                          bool // see LoadConfig
}

// note records one call and returns its outcome.
func (r *recorder) note(a *agent, s step, sent, got time.Time, err error) outcome {
	r.calls.Add(1)
	if s.once {
		r.onceCalls.Add(1)
	}
	o := classify(err)
	if o == barred && (!r.gated || !s.effect) {
		o = refused // like any other refusal
	}
	if o == untold && a.site.broken(sent) {
		o = cut
		r.cut.Add(1)
	}
	switch {
	case o == answered && !s.once:
		if out := r.outage.Load(); out != nil {
			out.answer(a, sent, got)
		}
	case o == answered || o == barred:
	case o == cut && !s.once:
	case !s.once:
		r.lost.Add(1)
	case o == unknown || o == untold || o == cut:
		r.unknown.Add(1)
	}
	if s.effect {
		a.site.wrote(o)
	}
	if err != nil && o != barred {
		r.failed(a, s.tool, sent, got, o, err)
	}
	return o
}

func (r *recorder) failed(a *agent, tool string, sent, got time.Time, o outcome, err error) {
	var e *mcpagent.CallError
	if errors.As(err, &e) && e.SessionLost {
		r.sessions.Add(1)
	}
	if o == unknown && tool == "charge" || o == cut {
		return // what a call cut in flight is expected to get
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.samples) < maxSamples {
		r.samples = append(r.samples, fmt.Sprintf("%s %s at %.3fs after %v: %v",
			a.name, tool, sent.Sub(r.began).Seconds(), got.Sub(sent).Round(time.Millisecond), err))
	}
}

// alarm tells all agents at once that a fault happened.
type alarm struct {
	mu sync.Mutex
	c  chan struct{}
}

// next returns a channel that the next fault closes.
func (a *alarm) next() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.c == nil {
		a.c = make(chan struct{})
	}
	return a.c
}

func (a *alarm) raise() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.c != nil {
		close(a.c)
		a.c = nil
	}
}
