package rulebook

import (
	"cmp"
	"slices"

	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/strategies"
)

// Input returns what a strategy is asked about these voters and the other gateways of the roster, lives that have
// ended among them. A gateway that is a voter counts once, as that.
//
// Strategies want a join index of its own for everybody, but those that begin a cluster join by one entry. Names break
// the tie, the same everywhere, and those after are moved up where they would be met; their order stays.
func Input(voters []authority.Member, gateways []authority.Gateway, declared int, options map[string]string) strategies.Input {
	all := roster(voters)
	for _, g := range gateways {
		if !slices.ContainsFunc(voters, func(v authority.Member) bool { return v.Name == g.Gateway }) {
			all = append(all, strategies.Gateway{Name: g.Gateway, Region: g.Region, Role: strategies.Member, JoinIndex: uint64(g.Incarnation)})
		}
	}
	slices.SortFunc(all, func(a, b strategies.Gateway) int {
		return cmp.Or(cmp.Compare(a.JoinIndex, b.JoinIndex), cmp.Compare(a.Name, b.Name))
	})
	last := uint64(0)
	for i := range all {
		all[i].JoinIndex = max(all[i].JoinIndex, last+1)
		last = all[i].JoinIndex
	}
	return strategies.Input{Roster: all, Declared: declared, Options: options}
}
