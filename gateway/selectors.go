package gateway

import (
	"math/bits"

	"github.com/quorate/quorate/gateway/balance"
	"github.com/quorate/quorate/regions"
)

// poolRegion is one region's part of a pool.
type poolRegion struct {
	*region   // nil for the gateway's own
	info      *regions.Region
	selectors [needs][len(groupOrder) + 1]*balance.Selector
}

// groupOrder lists the groups that requests ask for; 0, no group, comes before them.
var groupOrder = [...]regions.Group{regions.ToolServers, regions.ResourceServers, regions.PromptServers}

// selector returns what draws among the region's nodes that fit. It allocates nothing.
func (r *poolRegion) selector(n need, g regions.Group) *balance.Selector {
	for i, o := range groupOrder {
		if g == o {
			return r.selectors[n][i+1]
		}
	}
	return r.selectors[n][0]
}

// build makes the selectors. Nodes of one pool differ in few ways, so most requests' needs are met by the
// same nodes, whose selector is then made once.
func (r *poolRegion) build(members []member, offset int) {
	var traits []trait
	kind := make([]uint8, len(members)) // index into traits
	for i := range members {
		kind[i] = uint8(indexOf(&traits, members[i].trait))
	}
	made := make(map[uint64]*balance.Selector)
	for n := range needs {
		for g := range len(groupOrder) + 1 {
			var fitting uint64 // by index into traits
			for i, t := range traits {
				if t.fits(n) && (g == 0 || t.groups&groupOrder[g-1] != 0) {
					fitting |= 1 << i
				}
			}
			if made[fitting] == nil {
				made[fitting] = selectorOf(members, kind, fitting, offset)
			}
			r.selectors[n][g] = made[fitting]
		}
	}
}

// indexOf adds t if it is new. There are at most 64 traits: four sets of eras, stateful or not, and the
// three groups that are asked for.
func indexOf(traits *[]trait, t trait) int {
	t.groups &= regions.ToolServers | regions.ResourceServers | regions.PromptServers
	for i, o := range *traits {
		if o == t {
			return i
		}
	}
	*traits = append(*traits, t)
	return len(*traits) - 1
}

func selectorOf(members []member, kind []uint8, fitting uint64, offset int) *balance.Selector {
	if bits.OnesCount64(fitting) == 0 {
		return balance.NewSelector(nil)
	}
	fit := make([]balance.Member, 0, len(members))
	for i := range members {
		if fitting&(1<<kind[i]) != 0 {
			m := &members[i]
			fit = append(fit, balance.Member{Index: int32(offset + i), Weight: int32(m.weight), State: m.state})
		}
	}
	return balance.NewSelector(fit)
}
