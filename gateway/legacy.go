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
	if h.Session == "" {
		g.withoutSession(w, r, p)
		return
	}
	s := scopeOf(r)
	f, err := p.fronts.get(s)
	if err != nil {
		mcp.WriteError(w, mcp.Overloaded("fronts", time.Second), nil)
		return
	}
	sw, class := p.writer(w, p.policy("", "", nil)), classStream
	if r.Method == http.MethodGet {
		f.sessions.ServeStream(sw, r, p.stateful(s), r.Header)
	} else {
		class = classSession
		f.sessions.ServeDelete(sw, r, p.stateful(s), r.Header)
	}
	p.counters.count(mcp.Legacy, class, sw.outcome())
}

// withoutSession asks a node: what it says of a GET or DELETE that names no session is the truth.
func (g *Gateway) withoutSession(w http.ResponseWriter, r *http.Request, p *pool) {
	m := message{era: mcp.Legacy, headers: mcp.ReadHeaders(r.Header), policy: p.policy("", "", r.Header)}
	outcome := g.walk(w, r, p, m, p.legacyNeed(""))
	p.counters.count(mcp.Legacy, classOther, outcome)
}
