// Package regionmajority is the strategy by which the side with most of the regions writes, a region counting
// for a side that has most of its voters. It must not know anything but the input of a strategy.
package regionmajority

import (
	"slices"

	"github.com/quorate/quorate/strategies"
)

// Name is what configuration calls the strategy.
const Name = "region_majority"

// Rule returns a majority of regions, of each a majority of its voters' weights. Regions count alike, however
// many voters they have. Voters of two regions that are not on the way to three are refused: the loss of either
// region would stop all writes.
func Rule(in strategies.Input) (strategies.Rule, error) {
	voters := map[string][]strategies.Part{}
	var regions []string
	for _, v := range in.Roster.Voters() {
		if voters[v.Region] == nil {
			regions = append(regions, v.Region)
		}
		voters[v.Region] = append(voters[v.Region], strategies.Weighted(v.Votes(), v.Name))
	}
	slices.Sort(regions)
	if len(regions) == 0 {
		return strategies.Rule{}, strategies.Refuse("there is no voter")
	}
	members := make([]strategies.Part, len(regions))
	for i, name := range regions {
		members[i] = strategies.Nest(strategies.MajorityOf(voters[name]...))
	}
	rule := strategies.MajorityOf(members...)
	if rule.NeedsBoth() && !in.Growing() {
		return strategies.Rule{}, strategies.Refuse("over %v both are needed, so either's loss stops all writes; add a voter in a third region (quorate serve --witness is a tiny one), or choose oldest_node or configured_master", rule.Canonical())
	}
	return rule, nil
}
