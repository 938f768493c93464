package gateway

import (
	"context"
	"strings"

	"github.com/quorate/quorate/gateway/upstream"
	"github.com/quorate/quorate/regions"
)

// Handles knows what this process has not seen itself: which node issued a handle, as other gateways have learned it.
type Handles interface {
	// Learn is told where a handle belongs; it must not block, and forgets what it is told too often.
	Learn(service, handle, place string)
	// Lookup returns that place. It is asked only about handles that this process does not remember, and may ask other
	// gateways, within a bound of its own.
	Lookup(ctx context.Context, service, handle string) (place string, found bool)
}

// tell has other gateways learn what a node of this gateway's own table has issued. What came through another region's
// gateway that one tells.
func (c *call) tell(node *upstream.Node, handle string) {
	if c.g.cfg.Handles == nil || node.Forwards() {
		return
	}
	region := c.p.regions[c.p.members[c.at].region].info.Name
	c.g.cfg.Handles.Learn(c.p.name, handle, string(node.ID())+"\n"+region)
}

// asked returns the node that other gateways say has issued the handle; where it is another region's, and not in the
// table, one that leads there.
func (c *call) asked(handle string) regions.NodeID {
	if c.g.cfg.Handles == nil {
		return ""
	}
	place, ok := c.g.cfg.Handles.Lookup(c.r.Context(), c.p.name, handle)
	if !ok {
		return ""
	}
	node, region, _ := strings.Cut(place, "\n")
	id := regions.NodeID(node)
	if i, here := c.p.byID[id]; here && c.p.regions[c.p.members[i].region].info.Name == region {
		c.p.affinity.learn(handle, id)
		return id
	}
	for i := range c.p.members {
		if m := &c.p.members[i]; m.node.Forwards() && c.p.regions[m.region].info.Name == region {
			return m.node.ID()
		}
	}
	return ""
}
