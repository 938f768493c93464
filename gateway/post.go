package gateway

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"strings"
	"time"

	"github.com/quorate/quorate/gateway/listen"
	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/session"
	"github.com/quorate/quorate/gateway/upstream"
	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/regions"
)

// servePost reads one message, classifies it and hands it to whoever serves its kind.
func (g *Gateway) servePost(w http.ResponseWriter, r *http.Request, p *pool) {
	began := time.Now()
	buf := g.buffers.get()
	defer g.buffers.put(buf)
	headers := mcp.ReadHeaders(r.Header)
	era := mcp.EraOf(headers.Version)
	// A legacy session keeps its messages longer than this request lives.
	space := *buf
	if era == mcp.Legacy {
		space = make([]byte, min(max(r.ContentLength, 0), pooledBody)+1)
	}
	body, err := readBody(w, r, space, g.cfg.MaxBody)
	if err != nil {
		p.counters.count(era, classOther, Rejected)
		w.Header().Set("Connection", "close")
		mcp.WriteError(w, bodyError(err), nil)
		return
	}
	if scopeOf(r).via != "" && r.Header.Get(mcp.HeaderAdopt) != "" {
		p.counters.count(era, classSession, g.adopt(w, r, p, body))
		return
	}
	env, err := mcp.Scan(body)
	if err != nil {
		p.counters.count(era, classOther, Rejected)
		m := message{env: env, body: body} // its id is there where the message names one
		mcp.WriteError(w, mcp.ScanError(err), m.id())
		return
	}
	outcome := Unknown // stays when an answer has to be cut, which takes a panic
	defer func() {
		class := methodClassOf(env.Method)
		p.counters.count(era, class, told(r, outcome))
		if class != classStream {
			p.took[eraIndex(era)][class](time.Since(began))
		}
	}()
	outcome = g.traced(w, r, p, message{env: env, headers: headers, body: body, era: era, policy: p.policy(env.Method, env.Name, r.Header)})
}

// traced dispatches within a span, where there are spans.
func (g *Gateway) traced(w http.ResponseWriter, r *http.Request, p *pool, m message) Outcome {
	if g.cfg.Tracer == nil {
		return g.bounded(w, r, p, m)
	}
	span := RequestSpan{Service: p.name, Era: m.era.String(), Method: m.env.Method, RetryClass: p.class(&m).String(),
		LatencyClass: m.policy.class.String(), Spill: m.policy.spill.String()}
	if m.env.Method == mcp.MethodToolsCall || m.env.Method == mcp.MethodPromptsGet {
		span.Tool = m.env.Name
	}
	r, end := g.cfg.Tracer.Request(r, m.env.TraceParent, span)
	outcome := Unknown // as in servePost
	defer func() { end(told(r, outcome).String()) }()
	outcome = g.bounded(w, r, p, m)
	return outcome
}

var errDeadline = errors.New("gateway: the route's deadline has passed")

// bounded dispatches within the bounds that the request's route sets.
func (g *Gateway) bounded(w http.ResponseWriter, r *http.Request, p *pool, m message) Outcome {
	if !m.policy.enter() {
		mcp.WriteAnswer(w, m.env.Method, mcp.Overloaded("route_limit", time.Second), m.id())
		return Overloaded
	}
	defer m.policy.leave()
	if m.policy.deadline > 0 && (m.era != mcp.Legacy || m.headers.Session == "") { // in a session it would cut the stream, not the call
		ctx, cancel := context.WithTimeoutCause(r.Context(), m.policy.deadline, errDeadline)
		defer cancel()
		r = r.WithContext(ctx)
	}
	return g.dispatch(w, r, p, m)
}

// told is what an outcome is to an agent that may have left: an unknown one was told to nobody then.
func told(r *http.Request, outcome Outcome) Outcome {
	if outcome == Unknown && r.Context().Err() != nil {
		return Canceled
	}
	return outcome
}

// message is what a POST carried.
type message struct {
	env     mcp.Envelope
	headers mcp.Headers
	body    []byte
	era     mcp.Era
	policy  *policy
	permit  upstream.Permit // asked before every attempt; nil: it is no write
	keyed   bool            // its key has to be in the ledger before it goes out
	single  bool            // it has a key in the ledger, of this gateway's or of the one that passed it on
}

// id returns the JSON-RPC id as written, nil for none.
func (m *message) id() []byte {
	if m.env.ID.IsZero() {
		return nil
	}
	return m.env.ID.Of(m.body)
}

func (g *Gateway) dispatch(w http.ResponseWriter, r *http.Request, p *pool, m message) Outcome {
	if e := mcp.Validate(m.headers, m.env); e != nil {
		mcp.WriteError(w, e, m.id())
		return Rejected
	}
	if m.era == mcp.Legacy && m.env.Kind == mcp.KindBatch && m.headers.Version > mcp.Version20250326 {
		mcp.WriteError(w, mcp.InvalidRequest("this protocol version has no batches"), nil)
		return Rejected
	}
	if e := p.keyed(&m, r); e != nil {
		mcp.WriteAnswer(w, m.env.Method, e, m.id())
		return Rejected
	}
	if m.era == mcp.Legacy && m.headers.Session != "" && g.own(scopeOf(r)) {
		return g.dispatchKept(w, r, p, m)
	}
	if !g.leave(w, r, p, &m) {
		return Refused
	}
	if m.era == mcp.Modern {
		return g.dispatchModern(w, r, p, m)
	}
	if m.headers.Session != "" || m.env.Method == mcp.MethodInitialize && p.stated(needStateful) {
		f := p.front(w, r, &m)
		if f == nil {
			return Overloaded
		}
		outcome, _ := g.dispatchSession(w, r, p, f, m)
		return outcome
	}
	return g.walk(w, r, p, m, p.legacyNeed(m.env.Method))
}

// leave asks for leave to serve a message, and answers it if there is none.
func (g *Gateway) leave(w http.ResponseWriter, r *http.Request, p *pool, m *message) bool {
	var e *mcp.Error
	if m.permit, e = g.authorize(w, r, p.asked(m, r.Header)); e != nil {
		mcp.WriteAnswer(w, m.env.Method, e, m.id())
		return false
	}
	return true
}

// front returns what serves a message's scope; nil: it has been answered that there is none.
func (p *pool) front(w http.ResponseWriter, r *http.Request, m *message) *front {
	f, err := p.fronts.get(scopeOf(r))
	if err != nil {
		mcp.WriteAnswer(w, m.env.Method, mcp.Overloaded("fronts", time.Second), m.id())
		return nil
	}
	return f
}

// dispatchSession serves what belongs to a legacy session, or opens one. It reports false, with nothing done or written,
// if the session is not owned here.
func (g *Gateway) dispatchSession(w http.ResponseWriter, r *http.Request, p *pool, f *front, m message) (Outcome, bool) {
	s := scopeOf(r)
	sc := session.Call{Envelope: m.env, Body: m.body, Class: p.class(&m), Pool: p.stateful(s), Header: r.Header, Permit: m.permit}
	if m.permit != nil {
		sc.Via = s.passed(p.gateway)
	}
	sw := p.writer(w, m.policy)
	if m.headers.Session == "" {
		f.sessions.ServeInitialize(sw, r, sc)
		return sw.outcome(), true
	}
	a := admission{p: p, foreign: s.via != ""}
	defer a.leave()
	node, ok := f.sessions.Where(m.headers.Session)
	if ok && !a.enterFor(node, &m, s) {
		mcp.WriteAnswer(w, m.env.Method, a.refusal(), m.id())
		return Overloaded, true
	}
	if outcome, served := g.serveInSession(sw, r, p, f, &m, sc); !served || outcome != OK {
		return outcome, served
	}
	// What a move cost says nothing about how busy the pool is.
	at, _ := f.sessions.Where(m.headers.Session)
	a.served = sw.outcome() == OK && at == node
	return sw.outcome(), true
}

// serveInSession has a session's call served, by the ledger if it has a key there. An outcome that is not OK is final.
// A session that has no node now is one all the same: it moves with this very call. One that is not here costs no intent,
// and should it come in between, the call must not go out without one.
func (g *Gateway) serveInSession(sw *statusWriter, r *http.Request, p *pool, f *front, m *message, sc session.Call) (Outcome, bool) {
	switch {
	case !m.keyed:
		return OK, f.sessions.Serve(sw, r, sc)
	case !f.sessions.Has(m.headers.Session):
		return OK, f.sessions.Absent(sw)
	}
	served := true
	outcome, _ := g.serveKeyed(sw, r, p, m, func(w http.ResponseWriter, r *http.Request, k *keyedCall) bool {
		sc.Permit, sc.Answered = k, k.answered
		served = f.sessions.Serve(w, r, sc)
		return served
	})
	return outcome, served
}

// adopt goes on with a session that the gateway of another region hands over.
func (g *Gateway) adopt(w http.ResponseWriter, r *http.Request, p *pool, body []byte) Outcome {
	if _, e := g.authorize(w, r, authority.Asked{Kind: authority.Upkeep}); e != nil {
		mcp.WriteError(w, e, nil)
		return Refused
	}
	s := scopeOf(r)
	f, err := p.fronts.get(s)
	if err != nil {
		mcp.WriteError(w, mcp.Overloaded("fronts", time.Second), nil)
		return Overloaded
	}
	sw := p.writer(w, p.policy(mcp.MethodInitialize, "", r.Header))
	f.sessions.ServeAdoption(sw, r, session.Call{Body: body, Class: mcp.Retry, Pool: p.stateful(s), Header: r.Header})
	return sw.outcome()
}

// legacyNeed: outside a session only a node without sessions can help; if the service has none, any
// node's refusal is the truth.
func (p *pool) legacyNeed(method string) need {
	switch {
	case method == mcp.MethodDiscover && p.entry.Eras != 0:
		return needAny
	case p.stated(needStateless):
		return needStateless
	case p.stated(needLegacy):
		return needLegacy
	}
	return needAny
}

func (g *Gateway) dispatchModern(w http.ResponseWriter, r *http.Request, p *pool, m message) Outcome {
	n := p.modernNeed()
	if m.env.Method == mcp.MethodListen && n == needModern {
		f, err := p.fronts.get(scopeOf(r))
		if err != nil {
			mcp.WriteAnswer(w, m.env.Method, mcp.Overloaded("fronts", time.Second), m.id())
			return Overloaded
		}
		f.listen.Serve(w, r, listen.Request{Query: r.URL.RawQuery, Body: m.body, ID: m.id(), Header: r.Header})
		return OK
	}
	return g.walk(w, r, p, m, n)
}

// modernNeed: a service that was ever seen to speak the modern era stays modern through an outage,
// since an agent keeps what it found out at its first probe. Where no node ever spoke it, a legacy
// node's own answer tells the agent so.
func (p *pool) modernNeed() need {
	if p.entry.Eras.Has(regions.Modern) || p.entry.Eras == 0 {
		return needModern
	}
	return needAny
}

func (g *Gateway) walk(w http.ResponseWriter, r *http.Request, p *pool, m message, n need) Outcome {
	if !m.keyed {
		return g.walkOnce(w, r, p, &m, n, nil)
	}
	walked := Canceled
	outcome, ran := g.serveKeyed(w, r, p, &m, func(w http.ResponseWriter, r *http.Request, k *keyedCall) bool {
		r, end := detach(r)
		defer end()
		m.permit = k
		walked = g.walkOnce(w, r, p, &m, n, k)
		return true
	})
	if ran {
		return walked
	}
	return outcome
}

func (g *Gateway) walkOnce(w http.ResponseWriter, r *http.Request, p *pool, m *message, n need, k *keyedCall) Outcome {
	s := scopeOf(r)
	c := &call{
		g: g, p: p, w: w, r: r, env: m.env, era: m.era, id: m.id(), policy: m.policy, keyed: k,
		request:    upstream.Request{Method: r.Method, Query: r.URL.RawQuery, Header: r.Header, Body: m.body, Permit: m.permit},
		candidates: p.newCandidates(s, m.policy, n, m.env.Method),
		admission:  admission{p: p, kind: kindOf(m, s), key: keyOf(m.env.Method, m.env.Name), foreign: s.via != ""},
	}
	c.class = p.class(m)
	c.door = c
	if m.env.Method == mcp.MethodToolsCall {
		c.barred = p.lacking[m.env.Name]
	}
	return c.run()
}

// splitList yields the canonical names in a comma-separated header field.
func splitList(list string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for name := range strings.SplitSeq(list, ",") {
			if !yield(http.CanonicalHeaderKey(strings.TrimSpace(name))) {
				return
			}
		}
	}
}
