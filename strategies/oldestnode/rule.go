// Package oldestnode is the strategy by which the side of the voter that joined first writes. It must not know
// anything but the input of a strategy.
package oldestnode

import "github.com/quorate/quorate/strategies"

// Name is what configuration calls the strategy.
const Name = "oldest_node"

// Rule returns the voter with the lowest join index. Its loss stops writes everywhere; nothing succeeds it by
// itself, since those who are left cannot know whether it is lost or only cut off.
func Rule(in strategies.Input) (strategies.Rule, error) {
	voters := in.Roster.Voters()
	if len(voters) == 0 {
		return strategies.Rule{}, strategies.Refuse("there is no voter")
	}
	return strategies.Single(voters[0].Name), nil
}
