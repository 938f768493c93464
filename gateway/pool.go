package gateway

import (
	"crypto/x509"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/gateway/balance"
	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/retry"
	"github.com/quorate/quorate/gateway/shed"
	"github.com/quorate/quorate/gateway/upstream"
	"github.com/quorate/quorate/regions"
)

// service is what outlives routing tables of one logical MCP server.
type service struct {
	name      string
	trust     *x509.CertPool // of the table published last; only Publish touches it
	budget    *retry.Budget
	limiter   *shed.Limiter // of this region's own pool
	nodes     int           // the most that it ever had; only Publish touches it
	fronts    fronts
	affinity  *affinity
	counters  counters
	took      durations
	routeLoad map[string]*atomic.Int64 // requests in flight by route; only Publish touches the map
	current   atomic.Pointer[pool]     // for work that no request is waiting for
}

// member is a node as one table shows it, with its runtime.
type member struct {
	node   *upstream.Node
	region int // index in pool.regions
	trait  trait
	state  regions.State
	weight int
	since  time.Time
}

// trait is what decides whether a node may serve a request at all.
type trait struct {
	eras     regions.Eras
	stateful bool
	groups   regions.Group
}

// pool is one service as one table shows it: immutable, loaded once by a request.
type pool struct {
	*service
	gateway  string // its name
	settings Service
	table    *regions.Table
	entry    *regions.Service
	regions  []poolRegion // as in the table: the gateway's own first
	members  []member     // as in the table
	groups   regions.Group
	policies []policy
	lacking  map[string]bitset // by tool that some nodes list and others do not: those that do not
	byID     map[regions.NodeID]int
}

// need is what a request requires of its node.
type need uint8

const (
	needModern    need = iota // a stateless request
	needStateful              // initialize, where any node keeps sessions
	needStateless             // a legacy request outside a session
	needLegacy                // any legacy node
	needAny                   // whatever is there: its answer says what the service speaks
)

const needs = needAny + 1

func (t trait) fits(n need) bool {
	switch n {
	case needModern:
		return t.eras.Has(regions.Modern)
	case needStateful:
		return t.eras.Has(regions.Legacy) && t.stateful
	case needStateless:
		return t.eras.Has(regions.Legacy) && !t.stateful
	case needLegacy:
		return t.eras.Has(regions.Legacy)
	}
	return t.eras != 0
}

// stated reports whether the pool has a node that fits n, however ill it is.
func (p *pool) stated(n need) bool {
	for i := range p.regions {
		if p.regions[i].selector(n, 0).Len() > 0 {
			return true
		}
	}
	return false
}

// uneven finds the tools that some of the pool's nodes list and others do not, as while a new release
// of them is rolled out.
func (p *pool) uneven() map[string]bitset {
	lacking := make(map[string]bitset)
	for tool := range p.entry.Tools {
		var without bitset
		for i := range p.entry.Nodes {
			facts := p.entry.Nodes[i].Facts
			if facts == nil {
				continue
			}
			if _, has := facts.Tools[tool]; !has {
				if without == nil {
					without = make(bitset, len(p.entry.Nodes)/64+1)
				}
				without.add(i)
			}
		}
		if without != nil {
			lacking[tool] = without
		}
	}
	return lacking
}

// live shows a member's present to the balancer.
func (m *member) live(slowStart time.Duration, now time.Time) balance.Candidate {
	return balance.Candidate{
		Dead:     m.node.Dead() || m.node.Unproven(),
		Ramp:     m.ramp(slowStart, now),
		InFlight: m.node.InFlight(),
		Latency:  m.node.EWMA().Value(now),
	}
}

func (m *member) ramp(slowStart time.Duration, now time.Time) float32 {
	if m.since.IsZero() {
		return 1
	}
	return balance.Ramp(now.Sub(m.since), slowStart)
}

// hints returns what verified nodes say of a tool.
func (p *pool) hints(tool string) mcp.ToolHints {
	t, ok := p.entry.Tools[tool]
	return mcp.ToolHints{Known: ok, ReadOnly: t.ReadOnly, Idempotent: t.Idempotent}
}

// class decides a request's retry class: the operator's route first, then method and annotations. What has a key in
// the ledger goes out once, unless it only reads.
func (p *pool) class(m *message) mcp.RetryClass {
	var hints mcp.ToolHints
	if m.env.Method == mcp.MethodToolsCall {
		hints = p.hints(m.env.Name)
	}
	if m.single && (!hints.Known || !hints.ReadOnly) {
		return mcp.Once
	}
	if m.policy.retry != nil {
		return *m.policy.retry
	}
	return mcp.ClassOf(m.env.Method, hints)
}
