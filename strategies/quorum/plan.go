// Package quorum is the replication strategy that commits contents in the control group before an agent is answered. It
// must not know anything but the input of a strategy.
package quorum

import "github.com/quorate/quorate/strategies"

// Name is what configuration calls the strategy.
const Name = "quorum"

// Plan returns no copies: the voters of the control group hold the contents.
func Plan(in strategies.PlanInput) (strategies.Plan, error) {
	return strategies.Plan{
		Class: strategies.Quorum, Timeout: in.Timeout, Retries: in.Retries, Spread: strategies.SpreadNone,
	}, nil
}
