// Package async is the replication strategy that keeps copies at other gateways, those of other regions first. It must
// not know anything but the input of a strategy.
package async

import "github.com/quorate/quorate/strategies"

// Name is what configuration calls the strategy.
const Name = "async"

// Plan returns as many copies as the operator asks for.
func Plan(in strategies.PlanInput) (strategies.Plan, error) {
	return strategies.Plan{
		Class: strategies.Async, Copies: in.Factor, Timeout: in.Timeout, Retries: in.Retries, Spread: strategies.SpreadRegion,
	}, nil
}
