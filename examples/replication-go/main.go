// Command replication-go is a replication strategy of one's own: a copy of every session in every other region, and as
// many as the operator asks for at least. It must not keep anything: the answer follows from the question.
package main

import (
	"github.com/quorate/quorate/plugins"
	"github.com/quorate/quorate/strategies"
)

func main() { plugins.ServeReplication(strategies.PlanFunc(plan)) }

// plan counts the regions that have a gateway for copies, the owner's among them. Where it asks for more copies than
// there are gateways, the gateway makes as many as there are.
func plan(in strategies.PlanInput) (strategies.Plan, error) {
	regions := map[string]bool{}
	for _, g := range in.Roster {
		if g.Role != strategies.Witness { // it carries no traffic and holds no copies
			regions[g.Region] = true
		}
	}
	return strategies.Plan{
		Class:   strategies.Async,
		Copies:  min(max(in.Factor, len(regions)-1), strategies.MaxCopies),
		Timeout: in.Timeout,
		Retries: in.Retries,
		Spread:  strategies.SpreadRegion,
	}, nil
}
