package gateway

import (
	"net/http"
	"time"

	"github.com/quorate/quorate/gateway/listen"
	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/session"
	"github.com/quorate/quorate/regions"
)

// sessionPool shows a table's stateful legacy nodes to the sessions.
type sessionPool struct{ p *pool }

func (p *pool) stateful() session.Pool { return sessionPool{p} }

// Pick implements session.Pool.
func (s sessionPool) Pick(exclude func(regions.NodeID) bool) (session.Node, bool) {
	var t tried
	for i := range s.p.members {
		if exclude(s.p.members[i].node.ID()) {
			t.add(i)
		}
	}
	i := s.p.pick(needStateful, &t, time.Now())
	if i < 0 {
		return nil, false
	}
	return s.p.members[i].node, true
}

// Lookup implements session.Pool.
func (s sessionPool) Lookup(id regions.NodeID) (session.Node, bool) {
	i, ok := s.p.byID[id]
	if !ok {
		return nil, false
	}
	return s.p.members[i].node, true
}

// statefulNow is the pool of the newest table, for work that no request is waiting for.
func (s *service) statefulNow() session.Pool { return s.current.Load().stateful() }

// modernNodes returns the nodes that a modern listen stream fans in from.
func (s *service) modernNodes() []listen.Node {
	p := s.current.Load()
	nodes := make([]listen.Node, 0, len(p.members))
	for i := range p.members {
		if m := &p.members[i]; m.fits(needModern) && m.state != regions.Unhealthy {
			nodes = append(nodes, m.node)
		}
	}
	return nodes
}

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
	sw, class := &statusWriter{ResponseWriter: w}, classStream
	if r.Method == http.MethodGet {
		p.sessions.ServeStream(sw, r, p.stateful(), r.Header)
	} else {
		class = classSession
		p.sessions.ServeDelete(sw, r, p.stateful(), r.Header)
	}
	p.counters.count(mcp.Legacy, class, sw.outcome())
}

// withoutSession asks a node: what it says of a GET or DELETE that names no session is the truth.
func (g *Gateway) withoutSession(w http.ResponseWriter, r *http.Request, p *pool) {
	m := message{era: mcp.Legacy, headers: mcp.ReadHeaders(r.Header)}
	outcome := g.walk(w, r, p, m, p.legacyNeed(""))
	p.counters.count(mcp.Legacy, classOther, outcome)
}
