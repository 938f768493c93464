package gateway

import (
	"math/rand/v2"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/shed"
	"github.com/quorate/quorate/regions"
)

// admission is one request's place in its region's own pool.
type admission struct {
	p       *pool
	kind    shed.Kind
	key     uint64 // what is done: its latency is judged by its own measure
	foreign bool   // another region passed it on
	ticket  shed.Ticket
	why     string // it was refused
	in      bool
	served  bool // it was answered, so its latency counts
}

// enter asks for a place, once.
func (a *admission) enter() bool {
	if a.in || a.why != "" {
		return a.in
	}
	a.ticket, a.why = a.p.limiter.Admit(time.Now(), a.kind, a.foreign)
	a.in = a.why == ""
	return a.in
}

// enterFor asks for a place for a session's request, if its node is one of this region.
func (a *admission) enterFor(node regions.NodeID, m *message, s scope) bool {
	i, ok := a.p.byID[node]
	if !ok || a.p.members[i].region != 0 || m.env.Kind != mcp.KindRequest && m.env.Kind != mcp.KindBatch {
		return true
	}
	a.kind, a.key = kindOf(m, s), keyOf(m.env.Method, m.env.Name)
	return a.enter()
}

func (a *admission) leave() {
	if a.in {
		a.in = false
		a.ticket.Done(time.Now(), a.key, a.served)
	}
}

// refusal is what the agent is told.
func (a *admission) refusal() *mcp.Error {
	return mcp.Overloaded(a.why, a.p.limiter.RetryAfter(a.kind, rand.Uint64()))
}

// kindOf: what keeps sessions and agents alive has a reserve of its own.
func kindOf(m *message, s scope) shed.Kind {
	if c := methodClassOf(m.env.Method); c == classSession || m.env.Kind != mcp.KindRequest && m.env.Kind != mcp.KindBatch || s.check {
		return shed.Control
	}
	return shed.Kind(m.policy.class)
}

// keyOf names what a request does (FNV-1a).
func keyOf(method, name string) uint64 {
	h := uint64(14695981039346656037)
	for _, s := range [...]string{method, name} {
		for i := range len(s) {
			h = (h ^ uint64(s[i])) * 1099511628211
		}
	}
	return h
}
