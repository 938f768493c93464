// Package builtin lists the split-brain and replication strategies that come with Quorate. It must not know how they are run.
package builtin

import (
	"slices"

	"github.com/quorate/quorate/strategies"
	"github.com/quorate/quorate/strategies/configuredmaster"
	"github.com/quorate/quorate/strategies/oldestnode"
	"github.com/quorate/quorate/strategies/regionmajority"
	"github.com/quorate/quorate/strategies/winnertakesall"
)

// Strategy is one of them.
type Strategy struct {
	Name  string // as configuration calls it
	Short string // which side writes, as a sentence without a full stop
	Rule  strategies.Func
}

// All returns them, the default first.
func All() []Strategy {
	return []Strategy{
		{winnertakesall.Name, "The side with most of the voters writes", winnertakesall.Rule},
		{oldestnode.Name, "The side of the voter that joined first writes", oldestnode.Rule},
		{configuredmaster.Name, "The side of the voter that option master names writes", configuredmaster.Rule},
		{regionmajority.Name, "The side with most voters of most regions writes", regionmajority.Rule},
	}
}

// Names returns their names, in the order of All.
func Names() []string {
	var names []string
	for _, s := range All() {
		names = append(names, s.Name)
	}
	return names
}

// Find returns the strategy of that name.
func Find(name string) (Strategy, bool) {
	all := All()
	i := slices.IndexFunc(all, func(s Strategy) bool { return s.Name == name })
	if i < 0 {
		return Strategy{}, false
	}
	return all[i], true
}
