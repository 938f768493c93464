// Package configuredmaster is the strategy by which the side of one named voter writes. It must not know
// anything but the input of a strategy.
package configuredmaster

import (
	"slices"
	"strings"

	"github.com/quorate/quorate/strategies"
)

// Name is what configuration calls the strategy; Option is its one option, the name of a voter.
const (
	Name   = "configured_master"
	Option = "master"
)

// Rule returns the voter that the option names. Its loss stops writes everywhere until the option names
// another and the change is committed.
func Rule(in strategies.Input) (strategies.Rule, error) {
	master, voters := in.Options[Option], in.Roster.Names()
	switch {
	case master == "":
		return strategies.Rule{}, strategies.Refuse("no master is named; set master to one of the voters %s", strings.Join(voters, ", "))
	case !slices.Contains(voters, master):
		return strategies.Rule{}, strategies.Refuse("master %.64q is no voter; set it to one of %s", master, strings.Join(voters, ", "))
	}
	return strategies.Single(master), nil
}
