package gateway

import (
	"net/http"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
)

// serveSession serves what only sessions have: GET opens a session's event stream or takes one up again,
// DELETE ends the session for good.
func (g *Gateway) serveSession(w http.ResponseWriter, r *http.Request, p *pool) {
	h := mcp.ReadHeaders(r.Header)
	if e := mcp.Validate(h, mcp.Envelope{}); e != nil {
		mcp.WriteError(w, e, nil)
		return
	}
	if mcp.EraOf(h.Version) == mcp.Modern {
		notAllowed(w, http.MethodPost)
		return
	}
	s, class := scopeOf(r), classStream
	if r.Method == http.MethodDelete {
		class = classSession
	}
	if h.Session == "" {
		if g.leaveStream(w, r) {
			g.withoutSession(w, r, p)
		} else {
			p.counters.count(mcp.Legacy, classOther, Refused)
		}
		return
	}
	f, err := p.fronts.get(s)
	if err != nil {
		mcp.WriteError(w, mcp.Overloaded("fronts", time.Second), nil)
		return
	}
	sw := p.writer(w, p.policy("", "", nil))
	here := func() (Outcome, bool) { return g.serveOwned(sw, r, p, f) }
	var outcome Outcome
	served := false
	if !g.own(s) || f.sessions.Owns(h.Session) {
		outcome, served = here()
	}
	if !served {
		e := &errand{g: g, p: p, f: f, w: sw, r: r, session: h.Session, here: here}
		outcome = e.run()
	}
	p.counters.count(mcp.Legacy, class, outcome)
}

// leaveStream asks for leave to serve a GET or DELETE, and answers it if there is none.
func (g *Gateway) leaveStream(w http.ResponseWriter, r *http.Request) bool {
	if _, e := g.authorize(w, r, streamKind(r.Method)); e != nil {
		mcp.WriteError(w, e, nil)
		return false
	}
	return true
}

// serveOwned serves a GET or DELETE of a session. It reports false, with nothing written, if it is not owned here.
func (g *Gateway) serveOwned(sw *statusWriter, r *http.Request, p *pool, f *front) (Outcome, bool) {
	if !g.leaveStream(sw, r) {
		return Refused, true
	}
	serve := f.sessions.ServeStream
	if r.Method == http.MethodDelete {
		serve = f.sessions.ServeDelete
	}
	if !serve(sw, r, p.stateful(scopeOf(r)), r.Header) {
		return 0, false
	}
	return sw.outcome(), true
}

// withoutSession asks a node: what it says of a GET or DELETE that names no session is the truth.
func (g *Gateway) withoutSession(w http.ResponseWriter, r *http.Request, p *pool) {
	m := message{era: mcp.Legacy, headers: mcp.ReadHeaders(r.Header), policy: p.policy("", "", r.Header)}
	outcome := g.walk(w, r, p, m, p.legacyNeed(""))
	p.counters.count(mcp.Legacy, classOther, outcome)
}
