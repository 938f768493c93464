package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"

	"github.com/quorate/quorate/gateway/mcp"
)

// maxRelayed bounds one event of a relayed stream, as sessions bound one of a node.
const maxRelayed = 17 << 20

// relay sends the request to the gateway that owns its session, and passes the answer on. It reports false, with
// nothing written, if the session has to be looked for again: nobody there has acted, or acting twice does no harm.
func (e *errand) relay(to string) (Outcome, bool) {
	if e.g.cfg.Relay == nil {
		return e.fail(nothingFits("session_moved"), Unavailable), true
	}
	ctx, cancel := context.WithCancel(e.r.Context())
	defer cancel()
	var began atomic.Bool
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { began.Store(true) }}
	resp, err := e.g.cfg.Relay(to).RoundTrip(e.relayed(httptrace.WithClientTrace(ctx, trace), to))
	if err != nil {
		return e.broken(began.Load())
	}
	defer resp.Body.Close()
	if e.askAgain(resp.Header) {
		return 0, false
	}
	if e.acted && len(resp.Header[mcp.HeaderRefused]) > 0 { // of this try alone
		return e.fail(mcp.OutcomeUnknown("gateway_lost"), Unknown), true
	}
	return e.pass(resp)
}

// askAgain reports a gateway that has not acted because the session is not, or not for long, its own. A stream's agent
// must not see any refusal: it might give the session up.
func (e *errand) askAgain(h http.Header) bool {
	switch h.Get(mcp.HeaderRefused) {
	case "":
		return false
	case "unavailable/loop", "unavailable/shutdown", "unavailable/shutting_down", "unavailable/session_moved", "unavailable/starting":
		return true
	}
	return e.r.Method == http.MethodGet
}

// relayed makes the request for the other gateway.
func (e *errand) relayed(ctx context.Context, to string) *http.Request {
	u := *e.r.URL
	u.Scheme, u.Host = "https", to
	h := make(http.Header, len(e.r.Header)+1)
	for name, values := range e.r.Header {
		if !mcp.PerConnection(name) && !strings.HasPrefix(name, mcp.OwnPrefix) {
			h[name] = values
		}
	}
	h[mcp.HeaderRelay] = []string{e.g.cfg.Name}
	m := &http.Request{Method: e.r.Method, URL: &u, Host: to, Header: h, Proto: "HTTP/2.0", ProtoMajor: 2}
	if e.body != nil {
		m.ContentLength = int64(len(e.body))
		body := bytes.Clone(e.body) // the link may still hold it when the request has ended
		read := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		m.Body, _ = read()
		if h["Idempotency-Key"] == nil && h["X-Idempotency-Key"] == nil {
			m.GetBody = read // with such a key the transport itself would send it twice
		}
	}
	return m.WithContext(ctx)
}

// broken decides what follows when no answer came. What may have run, and must not run twice, is not sent again.
func (e *errand) broken(began bool) (Outcome, bool) {
	ctx := e.r.Context()
	switch {
	case ctx.Err() != nil && !errors.Is(context.Cause(ctx), errDeadline):
		return Canceled, true
	case began && e.class == mcp.Once && e.r.Method == http.MethodPost:
		return e.fail(mcp.OutcomeUnknown("gateway_lost"), Unknown), true
	}
	e.acted = e.acted || began && e.class != mcp.Hedge && e.r.Method == http.MethodPost
	if ctx.Err() != nil {
		return e.nowhere(nothingFits("deadline")), true
	}
	return 0, false
}

// pass passes an answer on.
func (e *errand) pass(resp *http.Response) (Outcome, bool) {
	switch {
	case isEventStream(resp.Header):
		e.head(resp)
		e.events(resp.Body)
	case resp.ContentLength >= 0 && resp.ContentLength <= copyBuffer:
		body := make([]byte, resp.ContentLength)
		if _, err := io.ReadFull(resp.Body, body); err != nil {
			return e.broken(true)
		}
		e.head(resp)
		_, _ = e.w.Write(body)
	default:
		e.head(resp)
		e.copy(resp.Body)
	}
	return e.w.outcome(), true
}

func (e *errand) head(resp *http.Response) {
	h := e.w.Header()
	delete(h, mcp.HeaderAuthority)
	for name, values := range resp.Header {
		switch {
		case mcp.PerConnection(name) && name != "Content-Length", name == mcp.HeaderSpilled:
		case name == "Vary":
			h[name] = append(h[name], values...)
		case !strings.HasPrefix(name, "Access-Control-"):
			h[name] = values
		}
	}
	e.w.WriteHeader(resp.StatusCode)
}

// copy passes a body on as it comes.
func (e *errand) copy(body io.Reader) {
	buf := e.g.buffers.get()
	defer func() { e.g.buffers.put(buf) }()
	control := http.NewResponseController(e.w)
	for {
		n, err := body.Read(*buf)
		if _, werr := e.w.Write((*buf)[:n]); werr != nil {
			buf = nil
			return
		}
		if err == io.EOF {
			return
		}
		if err != nil || control.Flush() != nil {
			panic(http.ErrAbortHandler) // the agent must not take the part for the whole
		}
	}
}

// events passes a stream on, event by event. One that breaks off ends in order, so that the agent comes back for it;
// a call whose answer is still missing is answered here, because not every agent does.
func (e *errand) events(body io.Reader) {
	control := http.NewResponseController(e.w)
	if control.Flush() != nil {
		return
	}
	answered := e.id == nil
	for events := mcp.NewEventReader(body, maxRelayed); ; {
		ev, err := events.Next()
		if err != nil {
			if !answered && !errors.Is(err, io.EOF) && e.r.Context().Err() == nil {
				_, _ = e.w.Write(mcp.AppendEvent(nil, mcp.Event{Name: "message", Data: e.lost().Body(e.id)}))
			}
			return
		}
		answered = answered || e.answers(ev)
		if _, err := e.w.Write(ev.Raw); err != nil || control.Flush() != nil {
			return
		}
	}
}

// answers reports the event that is the answer to the request.
func (e *errand) answers(ev mcp.Event) bool {
	if ev.Comment || len(ev.Data) == 0 {
		return false
	}
	env, err := mcp.Scan(ev.Data)
	return err == nil && env.Kind == mcp.KindResponse && mcp.SameID(env.ID.Of(ev.Data), e.id)
}

// lost is what the agent is told of a call whose gateway was lost in the middle of its answer.
func (e *errand) lost() *mcp.Error {
	if e.class == mcp.Hedge {
		return nothingFits("gateway_lost")
	}
	return mcp.OutcomeUnknown("gateway_lost")
}
