package schedule

import (
	"fmt"
	"time"

	"github.com/quorate/quorate/internal/chaos/history"
	"github.com/quorate/quorate/strategies"
	"github.com/quorate/quorate/strategies/configuredmaster"
)

// Voters is a fleet of n voters over three regions, dealt in turn.
func Voters(n int) (all []history.Gateway) {
	for i := range n {
		all = append(all, history.Gateway{Name: fmt.Sprintf("gw-%d", i+1), Region: fmt.Sprintf("r%d", i%3+1), Role: strategies.Voter})
	}
	return all
}

// Exhaustive is every two-way split and every single directed cut of n voters under a strategy, each held for a time.
// The master, where there is one, is the second voter, which is not the oldest.
func Exhaustive(n int, strategy string, hold time.Duration) Schedule {
	s := Schedule{Gateways: Voters(n), Strategy: strategy}
	names := s.Names()
	if strategy == configuredmaster.Name {
		s.Master = names[1]
	}
	add := func(f Fault) {
		s.Episodes = append(s.Episodes, Episode{Name: f.String(), Faults: []Fault{f}, Hold: hold})
	}
	for set := 1; set < 1<<(n-1); set++ { // without the last one, so that no split comes twice
		add(split(names, set))
	}
	for _, from := range names {
		for _, to := range names {
			if from != to {
				add(Fault{Kind: OneWay, From: []string{from}, To: []string{to}})
			}
		}
	}
	return s
}

// split cuts those whose bit is set from the others.
func split(names []string, set int) Fault {
	f := Fault{Kind: Cut}
	for i, n := range names {
		if set&(1<<i) != 0 {
			f.From = append(f.From, n)
		} else {
			f.To = append(f.To, n)
		}
	}
	return f
}
