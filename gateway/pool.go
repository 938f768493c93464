package gateway

import (
	"maps"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/gateway/balance"
	"github.com/quorate/quorate/gateway/listen"
	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/retry"
	"github.com/quorate/quorate/gateway/session"
	"github.com/quorate/quorate/gateway/upstream"
	"github.com/quorate/quorate/regions"
)

// service is what outlives routing tables of one logical MCP server.
type service struct {
	name     string
	budget   *retry.Budget
	sessions *session.Manager
	listen   *listen.Hub
	affinity *affinity
	counters counters
	took     durations
	current  atomic.Pointer[pool] // for work that no request is waiting for
}

// member is a node as one table shows it, with its runtime.
type member struct {
	node     *upstream.Node
	eras     regions.Eras
	stateful bool
	state    regions.State
	weight   int
	since    time.Time
}

// pool is one service as one table shows it: immutable, loaded once by a request.
type pool struct {
	*service
	settings Service
	region   string
	table    *regions.Service
	members  []member
	lacking  map[string]tried // by tool that some nodes list and others do not: those that do not
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

func (m *member) fits(n need) bool {
	switch n {
	case needModern:
		return m.eras.Has(regions.Modern)
	case needStateful:
		return m.eras.Has(regions.Legacy) && m.stateful
	case needStateless:
		return m.eras.Has(regions.Legacy) && !m.stateful
	case needLegacy:
		return m.eras.Has(regions.Legacy)
	}
	return m.eras != 0
}

// stated reports whether the pool has a node that fits n, however ill it is.
func (p *pool) stated(n need) bool {
	for i := range p.members {
		if p.members[i].fits(n) {
			return true
		}
	}
	return false
}

// tried is the set of members a request has already been sent to; pools of up to 64 nodes need no memory.
type tried struct {
	low  uint64
	high map[int]struct{}
}

func (t *tried) add(i int) {
	if i < 64 {
		t.low |= 1 << i
		return
	}
	if t.high == nil {
		t.high = make(map[int]struct{})
	}
	t.high[i] = struct{}{}
}

func (t *tried) has(i int) bool {
	if i < 64 {
		return t.low&(1<<i) != 0
	}
	_, ok := t.high[i]
	return ok
}

// pick returns the next candidate's index, or -1.
func (p *pool) pick(n need, t *tried, now time.Time) int {
	var space [smallPool]balance.Candidate // larger pools cost an allocation
	candidates := space[:0]
	for i := range p.members {
		candidates = append(candidates, p.members[i].candidate(n, p.settings.SlowStart, now))
	}
	return balance.Pick(candidates, rand.Uint64(), t.has)
}

// unite returns the members in either set.
func (t tried) unite(o tried) tried {
	t.low |= o.low
	if len(o.high) == 0 {
		return t
	}
	t.high = maps.Clone(t.high)
	for i := range o.high {
		t.add(i)
	}
	return t
}

// uneven finds the tools that some of the pool's nodes list and others do not, as while a new release
// of them is rolled out.
func (p *pool) uneven() map[string]tried {
	lacking := make(map[string]tried)
	for tool := range p.table.Tools {
		var without tried
		for i := range p.table.Nodes {
			facts := p.table.Nodes[i].Facts
			if facts == nil {
				continue
			}
			if _, has := facts.Tools[tool]; !has {
				without.add(i)
			}
		}
		if without.low != 0 || without.high != nil {
			lacking[tool] = without
		}
	}
	return lacking
}

// smallPool is the largest pool that is balanced without an allocation.
const smallPool = 16

// candidate shows a member to the balancer; one that does not fit looks as if it had never been verified.
func (m *member) candidate(n need, slowStart time.Duration, now time.Time) balance.Candidate {
	if !m.fits(n) {
		return balance.Candidate{}
	}
	return balance.Candidate{
		State:    m.state,
		Dead:     m.node.Dead(),
		Weight:   int32(m.weight),
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
	t, ok := p.table.Tools[tool]
	return mcp.ToolHints{Known: ok, ReadOnly: t.ReadOnly, Idempotent: t.Idempotent}
}

// class decides a request's retry class: the operator's route first, then method and annotations.
func (p *pool) class(e *mcp.Envelope) mcp.RetryClass {
	if r := p.settings.Routes.Find(e.Method, e.Name); r != nil && r.RetryClass != nil {
		return *r.RetryClass
	}
	var hints mcp.ToolHints
	if e.Method == mcp.MethodToolsCall {
		hints = p.hints(e.Name)
	}
	return mcp.ClassOf(e.Method, hints)
}
