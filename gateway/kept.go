package gateway

import (
	"net/http"

	"github.com/quorate/quorate/gateway/mcp"
)

// own reports a request of the agents' own: their sessions may be any gateway's.
func (g *Gateway) own(s scope) bool { return g.cfg.Keeper != nil && s.front() == scope{} }

// dispatchKept serves a message of a session that may be any gateway's. Its owner's authority counts.
func (g *Gateway) dispatchKept(w http.ResponseWriter, r *http.Request, p *pool, m message) Outcome {
	f := p.front(w, r, &m)
	if f == nil {
		return Overloaded
	}
	if f.sessions.Owns(m.headers.Session) {
		if outcome, served := g.dispatchOwned(w, r, p, f, m); served {
			return outcome
		}
	}
	e := &errand{g: g, p: p, f: f, w: p.writer(w, m.policy), r: r, session: m.headers.Session, method: m.env.Method,
		body: m.body, class: p.class(&m)}
	if m.env.Kind == mcp.KindRequest {
		e.id = m.id()
	}
	e.here = func() (Outcome, bool) { return g.dispatchOwned(w, r, p, f, m) }
	return e.run()
}

func (g *Gateway) dispatchOwned(w http.ResponseWriter, r *http.Request, p *pool, f *front, m message) (Outcome, bool) {
	if !g.leave(w, r, p, &m) {
		return Refused, true
	}
	return g.dispatchSession(w, r, p, f, m)
}
