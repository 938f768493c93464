package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/internal/breaker"
)

// errNodeDead ends the forwarded attempts of a node that was declared dead.
var errNodeDead = errors.New("upstream: node is dead")

// forwarded is one attempt over Config.Link, and then the body of its response. The link shares one
// connection among many attempts, so an attempt ends by its context and never by its connection.
type forwarded struct {
	node     *Node
	parent   context.Context
	inner    context.Context // ends with the attempt, and with its node
	cancel   context.CancelCauseFunc
	began    atomic.Bool // the link took a connection for it: bytes may have left
	waiting  atomic.Bool // for response headers
	wait     time.Duration
	suspect  *time.Timer
	body     io.ReadCloser
	before   func()
	standing bool
	finished atomic.Bool
	permit   Permit
	kept     atomic.Bool // the gate closed before the body's first byte
}

// attempts is the set of forwarded attempts under way.
type attempts struct {
	mu  sync.Mutex
	all map[*forwarded]struct{}
}

func (a *attempts) add(f *forwarded) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all == nil {
		a.all = make(map[*forwarded]struct{})
	}
	a.all[f] = struct{}{}
}

func (a *attempts) remove(f *forwarded) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.all, f)
}

// cancel ends them all.
func (a *attempts) cancel(cause error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for f := range a.all {
		f.cancel(cause)
	}
}

// forward makes one attempt over the link. Its breaker has let it pass; it counts as in flight.
func (n *Node) forward(ctx context.Context, r *Request, report func(breaker.Outcome), began time.Time) (*http.Response, error) {
	fence, ok := r.permitted()
	if !ok {
		n.inFlight.Add(-1)
		report(breaker.Ignored)
		return nil, n.closed()
	}
	f := &forwarded{node: n, parent: ctx, wait: n.suspectAfter(), permit: r.Permit}
	f.inner, f.cancel = context.WithCancelCause(ctx)
	n.attempts.add(f)
	f.waiting.Store(true)
	f.suspect = time.AfterFunc(time.Hour, f.suspected) // it reads f.suspect, which is there when Reset starts it
	f.suspect.Reset(f.wait)
	resp, err := n.cfg.Link.RoundTrip(f.message(httptrace.WithClientTrace(f.inner, f.trace()), r, fence))
	f.waiting.Store(false)
	f.suspect.Stop()
	if err != nil && f.kept.Load() {
		report(breaker.Ignored)
		f.finish()
		return nil, n.closed()
	}
	if err != nil {
		e := f.failed(err)
		report(outcome(e, n.Dead()))
		f.finish()
		return nil, e
	}
	f.body, resp.Body = resp.Body, f
	if why := resp.Header.Get(mcp.HeaderRefused); why != "" {
		return nil, f.declined(resp, why, report)
	}
	n.observe(began, resp.StatusCode, report)
	delete(resp.Header, mcp.HeaderSpilled) // how far it was from there is not how far it is from here
	if r.Standing || r.Method == http.MethodGet {
		f.standing = true
		n.inFlight.Add(-1)
	}
	return resp, nil
}

// declined turns a gateway's word that nobody there has acted into a failure that costs nothing.
func (f *forwarded) declined(resp *http.Response, why string, report func(breaker.Outcome)) *Error {
	e := &Error{Node: f.node.cfg.ID, Progress: NotSent, Failure: Declined, Err: fmt.Errorf("%w: %s", errDeclined, why)}
	switch {
	case strings.HasPrefix(why, mcp.RefusedOverloaded):
		e.Failure = Shed
		report(breaker.Ignored)
	case why == mcp.RefusedNoAuthority+mcp.ReasonFenced:
		e.Failure = Fenced
		report(breaker.Ignored)
	case strings.HasPrefix(why, mcp.RefusedNoAuthority): // it serves what is no write
		e.Failure = Barred
		report(breaker.Ignored)
	default:
		report(breaker.Failure)
	}
	f.node.results.failed(e.Failure)
	f.finish()
	return e
}

var errDeclined = errors.New("upstream: the region's gateway declined")

// trace notes the moment from which bytes of the request may have left: the link may still be refused
// before it, and never afterwards.
func (f *forwarded) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { f.began.Store(true) }}
}

// suspected asks the node for a sign of life when response headers are late, as suspectConn does.
func (f *forwarded) suspected() {
	alive := f.node.ask()
	switch {
	case !f.waiting.Load():
	case !alive:
		f.cancel(errNodeDead)
	default:
		f.wait = min(2*f.wait, 5*time.Second)
		f.suspect.Reset(f.wait)
	}
}

// failed classifies a broken attempt. A link that cannot be opened refuses like a port that is shut.
func (f *forwarded) failed(err error) *Error {
	n := f.node
	e := &Error{Node: n.cfg.ID, Progress: NotSent, Failure: Refused, Err: err}
	if f.began.Load() {
		e.Progress, e.Failure = Sent, Reset
	}
	if f.body != nil {
		e.Progress = Responding
	}
	switch {
	case n.Dead(), errors.Is(context.Cause(f.inner), errNodeDead):
		e.Failure = Dead
	case f.parent.Err() != nil:
		e.Failure, e.Err = Canceled, context.Cause(f.parent)
		n.results.failed(Canceled)
		return e
	case e.Failure == Refused && errors.Is(err, syscall.ECONNREFUSED):
		n.die("connection refused", err)
	case e.Failure == Refused && !ownShortage(err):
		n.Suspect()
	case e.Failure == Reset && !n.Alive():
		e.Failure = Dead
	}
	n.results.failed(e.Failure)
	if e.Failure == Reset {
		n.cfg.Observer.NodeFailed(n.cfg.ID, false)
	}
	return e
}

// Read implements io.Reader for the response's body.
func (f *forwarded) Read(p []byte) (int, error) {
	if f.before != nil {
		f.before()
	}
	n, err := f.body.Read(p)
	switch {
	case err == nil:
	case errors.Is(err, io.EOF):
		f.finish()
	default:
		err = f.failed(err)
		f.finish()
	}
	return n, err
}

// BeforeWait makes f run before every read, since what a shared connection has in store cannot be seen.
func (f *forwarded) BeforeWait(before func()) { f.before = before }

// Close implements io.Closer; a body that was not read to its end is given up.
func (f *forwarded) Close() error {
	f.finish()
	return nil
}

func (f *forwarded) finish() {
	if !f.finished.CompareAndSwap(false, true) {
		return
	}
	f.node.attempts.remove(f)
	f.cancel(context.Canceled)
	if f.body != nil {
		_ = f.body.Close()
	}
	if !f.standing {
		f.node.inFlight.Add(-1)
	}
}

// message makes the HTTP request of an attempt, which names the epoch fence.
func (f *forwarded) message(ctx context.Context, r *Request, fence uint64) *http.Request {
	u := *f.node.base
	if r.Query != "" {
		u.RawQuery = joinQuery(u.RawQuery, escapeQuery(r.Query))
	}
	h := make(http.Header, len(r.Header)+len(r.Set))
	for name, values := range r.Header {
		if !hop(name) && !r.overridden(name) {
			h[name] = values
		}
	}
	for _, f := range r.Set {
		if f.Value != "" && !strings.ContainsAny(f.Value, "\r\n") {
			h[http.CanonicalHeaderKey(f.Name)] = []string{f.Value}
		}
	}
	if r.Via != "" {
		h[mcp.HeaderVia] = []string{r.Via}
	}
	if fence != 0 {
		h[mcp.HeaderFence] = []string{strconv.FormatUint(fence, 10)}
	}
	m := &http.Request{Method: r.Method, URL: &u, Host: u.Host, Header: h, Proto: "HTTP/2.0", ProtoMajor: 2}
	if r.Body != nil {
		m.ContentLength = int64(len(r.Body))
		body := bytes.Clone(r.Body) // the link may still hold it when the attempt has ended, and then it is used again
		m.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(f.bodyOf(body)), nil }
		m.Body, _ = m.GetBody()
	}
	return m.WithContext(ctx)
}

func (f *forwarded) bodyOf(body []byte) io.Reader {
	if f.permit == nil {
		return bytes.NewReader(body)
	}
	return &permittedBody{Reader: bytes.NewReader(body), f: f}
}

func joinQuery(a, b string) string {
	if a == "" {
		return b
	}
	return a + "&" + b
}

// baseURL is the node's endpoint as the link's requests name it.
func baseURL(u *url.URL) *url.URL {
	b := *u
	if b.Path == "" {
		b.Path = "/"
	}
	return &b
}
