package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/plugins/host"
	"github.com/quorate/quorate/strategies"
	"github.com/quorate/quorate/strategies/builtin"
	"github.com/quorate/quorate/strategies/regionmajority"
)

// printLosses prints which writes the loss of each single voter leaves, for a control group that the file declares. The
// lines of losses are a contract.
func printLosses(out io.Writer, cfg *config.Config) {
	strategy, known := builtin.Find(cfg.SplitBrain.Strategy)
	switch {
	case !cfg.Controlled():
		return
	case cfg.SplitBrain.Plugin.Enabled():
		printPlugin(out, cfg.SplitBrain)
		return
	case len(cfg.Control.Expect) == 0 || !known:
		fmt.Fprintln(out, "which writes a loss leaves is not known from this file: control.expect names no voters")
		return
	}
	roster, assumed := declared(cfg)
	rule, losses, err := lossesOf(strategy, strategies.Input{Roster: roster, Options: cfg.SplitBrain.OptionsOf()})
	if err != nil {
		fmt.Fprintf(out, "%s has no rule for the expected voters: %v\n", strategy.Name, err)
		return
	}
	if len(assumed) > 0 && strategy.Name == regionmajority.Name {
		fmt.Fprintf(out, "a region of its own is assumed for %s: this file does not say where they are\n", strings.Join(assumed, ", "))
	}
	fmt.Fprintf(out, "%s: writes need %v\n", strategy.Name, rule)
	for _, l := range losses {
		if l.What == "voter" || len(assumed) == 0 {
			fmt.Fprintln(out, l)
		}
	}
}

// declared is the roster of the expected voters, and those among them whose region the file does not say. Who begins
// together is of the age that its name gives.
func declared(cfg *config.Config) (roster strategies.Roster, assumed []string) {
	for i, name := range slices.Sorted(slices.Values(cfg.Control.Expect)) {
		region := cfg.Region
		if name != cfg.Name {
			region = fmt.Sprintf("assumed-%d", i)
			assumed = append(assumed, name)
		}
		roster = append(roster, strategies.Gateway{Name: name, Region: region, Role: strategies.Voter, JoinIndex: uint64(i + 1)})
	}
	return roster, assumed
}

// lossesOf asks the built-in strategy itself: no process is needed for a pure function.
func lossesOf(s builtin.Strategy, in strategies.Input) (strategies.Rule, []strategies.Loss, error) {
	if err := in.Validate(); err != nil {
		return strategies.Rule{}, nil, err
	}
	rule, err := s.Rule(in)
	if err != nil {
		return strategies.Rule{}, nil, err
	}
	if rule, err = strategies.Admit(in, rule); err != nil {
		return strategies.Rule{}, nil, err
	}
	losses, err := strategies.Losses(in.Roster, rule)
	return rule, losses, err
}

// printPlugin says what cannot be known of a plugin without running it, and what would keep it from running. That is
// no problem of the file: a gateway starts without its plugin, and the committed rule stays.
func printPlugin(out io.Writer, s config.SplitBrain) {
	fmt.Fprintf(out, "%s is a plugin: its rules are proven when it gives them; quorate strategy check %s tests it\n", s.Strategy, s.Plugin.Path)
	sum, err := host.Checksum(s.Plugin.Path)
	switch {
	case err != nil:
		fmt.Fprintf(out, "%s would not be started: %v\n", s.Strategy, err)
	case !strings.EqualFold(sum, s.Plugin.SHA256):
		fmt.Fprintf(out, "%s would not be started: the SHA-256 of %s is %s\n", s.Strategy, s.Plugin.Path, sum)
	}
}
