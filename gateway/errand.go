package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/session"
)

const (
	// errandBound is how long a request waits for its session's gateway to be known.
	errandBound = 5 * time.Second
	// maxAway is how many times a request may be at another gateway without that counting as waiting.
	maxAway = 4
	// firstErrandPause is before a gateway is asked again that did not serve the session; doubling up to maxErrandPause.
	firstErrandPause = 20 * time.Millisecond
	maxErrandPause   = 320 * time.Millisecond
	// holdPause is how often a session is looked for whose event stream is held open.
	holdPause = time.Second
)

// errand is a request of a session that this gateway does not own as far as it knows: it is served here as soon as
// the session is, or where the session is.
type errand struct {
	g       *Gateway
	p       *pool
	f       *front
	w       *statusWriter
	r       *http.Request
	session string
	method  string // of the message; "" without one
	id      []byte // of the message; nil: nothing is answered in band
	body    []byte
	class   mcp.RetryClass
	acted   bool // another gateway may have acted on it
	// here serves it in this process. It reports false, with nothing done or written, if the session is not owned here.
	here func() (Outcome, bool)

	began time.Time
	times int           // that it was at another gateway
	away  time.Duration // that it was there
}

// run serves it. The bound is for finding out where; how long the answer may take is not this one's business: a gateway
// that is lost after a minute over a call leaves as much time to find its successor as one that is lost at once.
func (e *errand) run() Outcome {
	e.began = time.Now()
	for pause := firstErrandPause; ; pause = min(2*pause, maxErrandPause) {
		if outcome, done := e.step(); done {
			return outcome
		}
		if !e.pause(pause) {
			return e.nowhere(nothingFits("session_sought"))
		}
	}
}

// left is how long it may still wait.
func (e *errand) left() time.Duration { return errandBound - time.Since(e.began) + e.away }

// pause reports false when the time to wait is over.
func (e *errand) pause(d time.Duration) bool {
	timer := time.NewTimer(min(d, max(e.left(), 0)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return e.left() > 0
	case <-e.r.Context().Done():
		return false
	}
}

// elsewhere takes it to another gateway.
func (e *errand) elsewhere(to string) (Outcome, bool) {
	began := time.Now()
	outcome, done := e.relay(to)
	if e.times++; e.times <= maxAway {
		e.away += time.Since(began)
	}
	return outcome, done
}

// step looks for the session once, and goes there.
func (e *errand) step() (Outcome, bool) {
	ctx, cancel := context.WithTimeout(e.r.Context(), e.left())
	defer cancel()
	found := e.f.sessions.Locate(ctx, e.session, e.r.Header)
	switch found.Where {
	case session.Here:
		return e.here()
	case session.There:
		if scopeOf(e.r).relayed {
			mcp.WriteError(e.w, loop("the session is at another gateway"), e.id)
			return Unavailable, true
		}
		return e.elsewhere(found.Gateway)
	case session.Unknown:
		session.NotFound(e.w)
		return NodeError, true
	}
	return e.nowhere(found.Why), true
}

// nowhere is for a session that is not found now.
func (e *errand) nowhere(why *mcp.Error) Outcome {
	if e.r.Method == http.MethodGet && e.r.Context().Err() == nil {
		return e.hold(why)
	}
	if e.acted {
		return e.fail(mcp.OutcomeUnknown("gateway_lost"), Unknown)
	}
	return e.fail(why, outcomeOfError(why))
}

func outcomeOfError(e *mcp.Error) Outcome {
	switch e.Code {
	case mcp.CodeNoAuthority:
		return Refused
	case mcp.CodeOverloaded:
		return Overloaded
	}
	return Unavailable
}

// fail answers with an error of the gateway's own.
func (e *errand) fail(own *mcp.Error, o Outcome) Outcome {
	if e.r.Context().Err() != nil && !errors.Is(context.Cause(e.r.Context()), errDeadline) {
		return Canceled
	}
	mcp.WriteAnswer(e.w, e.method, own, e.id)
	return o
}

// beat tells the agent of a held stream that it is held, and reports whether there is one: the server does not notice the
// end of a connection on which more than the request has come.
func (e *errand) beat() bool {
	_, err := io.WriteString(e.w, ":\n\n")
	return err == nil && http.NewResponseController(e.w).Flush() == nil
}

// hold keeps an event stream open whose session cannot be found now: some agents give a session up for good when
// its stream is refused. It ends when the session is found, and the agent comes back for it.
func (e *errand) hold(why *mcp.Error) Outcome {
	if scopeOf(e.r).relayed || why.Code == mcp.CodeOverloaded || !e.g.holds.enter() {
		return e.fail(why, outcomeOfError(why))
	}
	defer e.g.holds.leave()
	h := e.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache, no-transform")
	e.w.WriteHeader(http.StatusOK)
	if http.NewResponseController(e.w).Flush() != nil {
		return Canceled
	}
	ticker := time.NewTicker(holdPause)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-e.g.closing:
			return OK
		case <-e.r.Context().Done():
			return Canceled
		}
		if e.f.sessions.Locate(e.r.Context(), e.session, e.r.Header).Where != session.Nowhere {
			return OK
		}
		if !e.beat() {
			return Canceled
		}
	}
}
