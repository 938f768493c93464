package control

import (
	"context"
	"slices"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/internal/authority"
)

// roomy is how many gateways the roster holds before the first that have ended are forgotten.
const roomy = authority.MaxGateways * 3 / 4

// tidy forgets one gateway when the roster fills up: names that come and go with machines would let nobody in any more.
// One that returns asks for its place as a new member does.
func (n *Node) tidy(ctx context.Context, p published, servers []raft.Server) error {
	name := endedFirst(p.gateways, p.view.Ruling.Now.Voters, n.linked())
	if name == "" {
		return nil
	}
	for _, s := range servers {
		if v := voterOf(s.ID); v.Name == name && s.Suffrage != raft.Voter {
			return n.expel(v)
		}
	}
	return n.give(ctx, authority.Remove{Gateway: name})
}

// endedFirst returns the gateway whose life ended first, of those that neither vote nor are there; "" while there is
// room, or if there is none.
func endedFirst(gateways []authority.Gateway, voters []authority.Member, linked []string) string {
	if len(gateways) < roomy {
		return ""
	}
	first := authority.Gateway{}
	for _, g := range gateways {
		votes := slices.ContainsFunc(voters, func(m authority.Member) bool { return m.Name == g.Gateway })
		if g.Fenced != 0 && !votes && !slices.Contains(linked, g.Gateway) && (first.Fenced == 0 || g.Fenced < first.Fenced) {
			first = g
		}
	}
	return first.Gateway
}
