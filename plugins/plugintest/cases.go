package plugintest

import (
	"fmt"
	"slices"

	"github.com/quorate/quorate/strategies"
)

// Case is one roster that a strategy is asked about. Its gateways are gw-1, gw-2 ... in the order of joining.
type Case struct {
	Name  string
	Input strategies.Input
}

// Cases are the rosters of the suite: those that fleets have, and the smallest and largest that there may be.
func Cases(options map[string]string) []Case {
	with := func(name string, declared int, roster strategies.Roster) Case {
		return Case{Name: name, Input: strategies.Input{Roster: roster, Declared: declared, Options: options}}
	}
	return []Case{
		with("one voter", 0, voters(1, 1)),
		with("two voters in two regions", 0, voters(2, 2)),
		with("two voters on the way to three", 3, voters(2, 2)),
		with("three voters in three regions", 0, voters(3, 3)),
		with("three voters in one region", 0, voters(3, 1)),
		with("three voters in two regions", 0, voters(3, 2)),
		with("two voters and a witness", 0, witness(voters(3, 3))),
		with("three voters and two members", 0, members(voters(5, 3), 3)),
		with("three voters, the oldest gateway a member", 0, youngest(members(voters(4, 3), 3))),
		with("four voters in two regions", 0, voters(4, 2)),
		with("four voters in four regions", 0, voters(4, 4)),
		with("five voters in three regions", 0, voters(5, 3)),
		with("five voters of different weights", 0, heavy(voters(5, 3))),
		with("nine voters in three regions", 0, voters(9, 3)),
		with("as much as is allowed", 0, heavy(members(voters(strategies.MaxGateways, 16), strategies.MaxVoters))),
	}
}

// voters returns n voters, dealt to the regions in turn.
func voters(n, regions int) strategies.Roster {
	r := make(strategies.Roster, n)
	for i := range r {
		r[i] = strategies.Gateway{
			Name: fmt.Sprintf("gw-%d", i+1), Region: fmt.Sprintf("region-%d", i%regions+1),
			Role: strategies.Voter, Weight: 1, JoinIndex: uint64(10 * (i + 1)),
		}
	}
	return r
}

// members takes the vote from all but the first n.
func members(r strategies.Roster, n int) strategies.Roster {
	for i := n; i < len(r); i++ {
		r[i].Role = strategies.Member
	}
	return r
}

// witness makes the last one a witness.
func witness(r strategies.Roster) strategies.Roster {
	r[len(r)-1].Role = strategies.Witness
	return r
}

// youngest turns the ages around.
func youngest(r strategies.Roster) strategies.Roster {
	for i := range r {
		r[i].JoinIndex = uint64(10 * (len(r) - i))
	}
	return r
}

// heavy gives weights 1 to 5.
func heavy(r strategies.Roster) strategies.Roster {
	for i := range r {
		r[i].Weight = i%5 + 1
	}
	return r
}

// reversed is the same roster in another order.
func reversed(roster strategies.Roster) strategies.Roster {
	out := slices.Clone(roster)
	slices.Reverse(out)
	return out
}
