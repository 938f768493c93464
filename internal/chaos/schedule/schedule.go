package schedule

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/chaos/history"
	"github.com/quorate/quorate/strategies"
	"github.com/quorate/quorate/strategies/configuredmaster"
	"github.com/quorate/quorate/strategies/oldestnode"
	"github.com/quorate/quorate/strategies/regionmajority"
	"github.com/quorate/quorate/strategies/winnertakesall"
)

// Episode is one or more faults at a time, then a heal.
type Episode struct {
	Name   string        `json:"name"`
	Faults []Fault       `json:"faults"`
	Hold   time.Duration `json:"hold"` // between the last fault and the heal
	// Rest is between the heal and the next episode; 0: as long as it takes to converge.
	Rest time.Duration `json:"rest,omitempty"`
	// What must not be noticed, as history.Episode has it.
	Calm      bool `json:"calm,omitempty"`
	Safe      bool `json:"safe,omitempty"`
	MostTerms int  `json:"most_terms,omitempty"`
}

// Schedule is all that happens to one fleet.
type Schedule struct {
	Seed     uint64            `json:"seed"`
	Gateways []history.Gateway `json:"gateways"`
	Strategy string            `json:"strategy"`
	Master   string            `json:"master,omitempty"`
	Episodes []Episode         `json:"episodes"`
	// Sessions is how the gateways keep sessions, history.Quorum or history.Async, whose agents are then looked at; "":
	// they are not.
	Sessions string `json:"sessions,omitempty"`
}

// String is the schedule as a few lines.
func (s Schedule) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %s, %s", s.Seed, s.Shape(), s.Strategy)
	if s.Master != "" {
		b.WriteString(" " + s.Master)
	}
	if s.Sessions != "" {
		b.WriteString(", sessions " + s.Sessions)
	}
	for i, e := range s.Episodes {
		fmt.Fprintf(&b, "\n  %d. %s, for %s", i+1, e.Name, e.Hold)
		if e.Rest > 0 {
			fmt.Fprintf(&b, ", then %s", e.Rest)
		}
	}
	return b.String()
}

// Has reports whether one of some kinds of faults comes up.
func (s Schedule) Has(kinds ...Kind) bool {
	for _, e := range s.Episodes {
		if slices.ContainsFunc(e.Faults, func(f Fault) bool { return slices.Contains(kinds, f.Kind) }) {
			return true
		}
	}
	return false
}

// Spares are how many nodes a gateway needs beside its first one: one more than hang at a time.
func (s Schedule) Spares() (n int) {
	for _, e := range s.Episodes {
		for _, f := range e.Faults {
			if f.Kind == Hang {
				n = max(n, f.Count)
			}
		}
	}
	return n
}

// Shape is who is in the fleet, by region.
func (s Schedule) Shape() string {
	var parts []string
	for _, g := range s.Gateways {
		part := g.Name + "@" + g.Region
		if g.Role != strategies.Voter {
			part += " (" + g.Role.String() + ")"
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, " ")
}

// Names are those of all gateways.
func (s Schedule) Names() (names []string) {
	for _, g := range s.Gateways {
		names = append(names, g.Name)
	}
	return names
}

// voters are the names of those that vote.
func (s Schedule) voters() (names []string) {
	for _, g := range s.Gateways {
		if g.Role.Votes() {
			names = append(names, g.Name)
		}
	}
	return names
}

// Strategies are the built-in strategies.
func Strategies() []string {
	return []string{winnertakesall.Name, oldestnode.Name, configuredmaster.Name, regionmajority.Name}
}

// QuorumRule is the rule of a strategy for a fleet whose gateways joined in the order in which they stand.
func QuorumRule(strategy, master string, gateways []history.Gateway) (strategies.Rule, error) {
	in := strategies.Input{}
	for i, g := range gateways {
		in.Roster = append(in.Roster, strategies.Gateway{Name: g.Name, Region: g.Region, Role: g.Role, JoinIndex: uint64(i) + 1})
	}
	switch strategy {
	case winnertakesall.Name:
		return winnertakesall.Rule(in)
	case oldestnode.Name:
		return oldestnode.Rule(in)
	case regionmajority.Name:
		return regionmajority.Rule(in)
	case configuredmaster.Name:
		in.Options = map[string]string{configuredmaster.Option: master}
		return configuredmaster.Rule(in)
	}
	return strategies.Rule{}, fmt.Errorf("schedule: strategy %q is not built in", strategy)
}
