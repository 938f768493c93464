package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/quorate/quorate/strategies"
	"github.com/quorate/quorate/strategies/builtin"
	"github.com/quorate/quorate/strategies/configuredmaster"
)

// checkSplitBrain reports a strategy that cannot be run, or has no rule for the voters that are expected.
func (c *Config) checkSplitBrain(r *report) {
	s := c.SplitBrain
	_, known := builtin.Find(s.Strategy)
	r.checkProgram("split_brain", s.Strategy, known, builtin.Names(), s.Plugin)
	s.checkOptions(r)
	if s.Strategy == configuredmaster.Name && !s.Plugin.Enabled() {
		c.checkMaster(r)
	}
	if lease := s.LeaseOf(); c.Controlled() && lease != 0 && lease < 2*c.Control.Interval {
		r.add("split_brain.lease", fmt.Sprintf("%s would end between two heartbeats, which are %s apart", lease, c.Control.Interval),
			fmt.Sprintf("auto, or %s at least", 2*c.Control.Interval))
	}
}

func (s SplitBrain) checkOptions(r *report) {
	r.checkOptions("split_brain.options", s.Options)
	_, twice := s.Options[configuredmaster.Option]
	switch {
	case s.Master != "" && twice:
		r.add("split_brain.options."+configuredmaster.Option, "is given as split_brain.master too", "it in one place")
	case len(s.OptionsOf()) > strategies.MaxOptions:
		r.add("split_brain.options", fmt.Sprintf("has %d entries with master", len(s.OptionsOf())), fmt.Sprintf("at most %d", strategies.MaxOptions))
	}
}

// checkMaster reports a master that never can be a voter.
func (c *Config) checkMaster(r *report) {
	const at = "split_brain.master"
	master, voters := c.SplitBrain.OptionsOf()[configuredmaster.Option], c.Control.Expect
	switch {
	case master == "":
		r.add(at, "is missing with strategy: "+configuredmaster.Name, "master: the name of a voter")
	case !c.Controlled() && master != c.Name:
		r.add(at, show(master)+" is not this gateway, and there is no control group", "master: "+c.Name+", or expect and join under control")
	case len(voters) > 0 && !slices.Contains(voters, master):
		r.add(at, show(master)+" is none of the voters that control.expect names", strings.Join(voters, ", ")+": one of them")
	}
}
