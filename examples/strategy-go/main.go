// Command strategy-go is a split-brain strategy of one's own: the side with most of the voters writes, and of two equal
// halves the one with the voter that joined first. It must not keep anything: the answer follows from the question.
package main

import (
	"github.com/quorate/quorate/plugins"
	"github.com/quorate/quorate/strategies"
)

func main() { plugins.Serve(decide) }

// decide gives every voter two votes and the oldest three. So halves are never equal, and any two sides with more than
// half of the votes have a voter in common.
func decide(in strategies.Input) (strategies.Rule, error) {
	var members []strategies.Part
	for i, voter := range in.Roster.Voters() { // the oldest first
		votes := 2
		if i == 0 {
			votes = 3
		}
		members = append(members, strategies.Weighted(votes, voter.Name))
	}
	return strategies.MajorityOf(members...), nil
}
