// Package winnertakesall is the strategy by which the side with most of the voters writes. It must not know
// anything but the input of a strategy.
package winnertakesall

import "github.com/quorate/quorate/strategies"

// Name is what configuration calls the strategy.
const Name = "winner_takes_all"

// Rule returns a majority of the voters' weights. Two voters that are not on the way to three are refused: the
// loss of either would stop all writes.
func Rule(in strategies.Input) (strategies.Rule, error) {
	voters := in.Roster.Voters()
	if len(voters) == 0 {
		return strategies.Rule{}, strategies.Refuse("there is no voter")
	}
	members := make([]strategies.Part, len(voters))
	for i, v := range voters {
		members[i] = strategies.Weighted(v.Votes(), v.Name)
	}
	rule := strategies.MajorityOf(members...)
	if len(voters) == 2 && rule.NeedsBoth() && !in.Growing() {
		return strategies.Rule{}, strategies.Refuse("a majority of two voters, %s and %s, is both of them, so either's loss stops all writes; add a third (quorate serve --witness is a tiny one), or choose oldest_node or configured_master", voters[0].Name, voters[1].Name)
	}
	return rule, nil
}
