package gateway

import (
	"math/rand/v2"
	"time"

	"github.com/quorate/quorate/gateway/balance"
	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/regions"
)

// candidates is one request's way along the nodes it may go to: the regions of its plan in order, and
// within a region the balancer's choice.
type candidates struct {
	p       *pool
	scope   scope
	need    need
	group   regions.Group
	class   mcp.RetryClass
	plan    regions.Plan
	passed  uint64 // regions that give this request away, by index: their share is not whole
	door    door   // whether a region may be used now; nil: as the region itself says
	barred  bitset // members to leave out while others are left: those that lack the tool
	exclude func(regions.NodeID) bool

	tried  tried
	closed uint64 // regions that would not take it, by index
	now    time.Time
	strict bool // barred members are left out
}

// door is asked before a candidate of a region is taken.
type door interface{ admits(region int) bool }

// newCandidates draws which regions give a request of policy y away.
func (p *pool) newCandidates(s scope, y *policy, n need, method string) candidates {
	plan := p.table.Plan(y.class, y.spill)
	c := candidates{p: p, scope: s, need: n, plan: plan}
	for i := range plan {
		if s := plan[i].Share; s > 0 && s < 1 && rand.Float64() >= s {
			c.passed |= 1 << plan[i].Region
		}
	}
	if g := groupOf(method); g != 0 && p.groups&g != 0 {
		c.group = g
	}
	return c
}

// next returns the index of the member to try next, or -1. Nodes that lack the tool come after all that
// list it, ill ones and dead ones after everything else in every region: the last are for a request that
// nobody else can take.
func (c *candidates) next(now time.Time) int {
	c.now = now
	if c.barred != nil {
		c.strict = true
		if i := c.pass(balance.Normal); i >= 0 {
			return i
		}
		c.strict = false
	}
	if i := c.pass(balance.Normal); i >= 0 {
		return i
	}
	return c.pass(balance.Desperate)
}

// pass asks the regions in order, those that give the request away after the others.
func (c *candidates) pass(mode balance.Mode) int {
	for _, given := range [...]bool{false, true} {
		for i := range c.plan {
			region := c.plan[i].Region
			if (c.passed&(1<<region) != 0) != given {
				continue
			}
			if i := c.from(region, mode); i >= 0 {
				return i
			}
		}
		if c.passed == 0 {
			break
		}
	}
	return -1
}

// from picks a member of one region.
func (c *candidates) from(region int, mode balance.Mode) int {
	r := &c.p.regions[region]
	if c.closed&(1<<region) != 0 || !c.scope.allows(region, r.info.Name) {
		return -1
	}
	i := int(r.selector(c.need, c.group).Pick(c, rand.Uint64(), mode))
	if i < 0 {
		return -1
	}
	if !c.takes(region) {
		c.closed |= 1 << region
		return -1
	}
	return i
}

func (c *candidates) takes(region int) bool {
	if c.door != nil {
		return c.door.admits(region)
	}
	return region == 0 || c.p.regions[region].takes(c.class)
}

// Live implements balance.Live.
func (c *candidates) Live(i int32) balance.Candidate {
	return c.p.members[i].live(c.p.settings.SlowStart, c.now)
}

// Excluded implements balance.Live.
func (c *candidates) Excluded(i int32) bool {
	return c.tried.has(int(i)) || c.strict && c.barred.has(int(i)) || c.exclude != nil && c.exclude(c.p.members[i].node.ID())
}

// tried is the set of members that a request has been sent to. It is small: attempts are bounded.
type tried struct {
	some [8]int32
	n    int
	more []int32
}

func (t *tried) add(i int) {
	if t.n < len(t.some) {
		t.some[t.n] = int32(i)
		t.n++
		return
	}
	t.more = append(t.more, int32(i))
}

func (t *tried) has(i int) bool {
	for _, j := range t.some[:t.n] {
		if int(j) == i {
			return true
		}
	}
	for _, j := range t.more {
		if int(j) == i {
			return true
		}
	}
	return false
}

// bitset is a set of members, by index.
type bitset []uint64

func (b bitset) has(i int) bool { return b[i/64]&(1<<(i%64)) != 0 }

func (b bitset) add(i int) { b[i/64] |= 1 << (i % 64) }
