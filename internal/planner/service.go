package planner

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/quorate/quorate/plugins/host"
	"github.com/quorate/quorate/strategies"
	"github.com/quorate/quorate/strategies/async"
	"github.com/quorate/quorate/strategies/builtin"
)

// Service is a service and how the operator wants its sessions kept.
type Service struct {
	Name     string
	Strategy string // a built-in one, or the name of the plugin
	Factor   int
	Timeout  time.Duration
	Retries  int
	Options  map[string]string
	// Path of the plugin's executable with its checksum and arguments; empty: the strategy is built in, or a companion.
	Path, SHA256 string
	Args         []string
	// Settings are what the plugin is told, a JSON object; empty: nothing.
	Settings string
}

// program is what has to be the same for services that share a process.
type program struct{ strategy, path, sha256, args, settings string }

func (s Service) program() program {
	return program{s.Strategy, s.Path, s.SHA256, strings.Join(s.Args, "\x00"), s.Settings}
}

// input is the question of a service.
func (s Service) input(r strategies.Roster) strategies.PlanInput {
	return strategies.PlanInput{Service: s.Name, Roster: r, Factor: s.Factor, Timeout: s.Timeout, Retries: s.Retries, Options: s.Options}
}

// builtin returns the strategy if it comes with this program.
func (s Service) builtin() (builtin.Replication, bool) {
	if s.Path != "" {
		return builtin.Replication{}, false
	}
	return builtin.FindReplication(s.Strategy)
}

// first returns the plan before the strategy has answered. Those that are built in are functions of this program too.
func (s Service) first() strategies.Plan {
	plan := async.Plan
	if b, ok := s.builtin(); ok {
		plan = b.Plan
	}
	p, err := plan(s.input(nil))
	if err != nil {
		return unknown()
	}
	return p
}

// unknown is the plan where nothing is to be kept.
func unknown() strategies.Plan {
	return strategies.Plan{Class: strategies.Async, Timeout: 5 * time.Second, Retries: 3, Spread: strategies.SpreadRegion}
}

// BuiltIn reports whether the strategy is part of this program.
func (s Service) BuiltIn() bool {
	_, ok := s.builtin()
	return ok
}

// Host is how the strategy's process is run.
func (s Service) Host(cfg Config) (host.Config, error) {
	c := host.Config{Name: s.Strategy, Path: s.Path, Args: s.Args, SHA256: s.SHA256}
	if s.Path == "" {
		var err error
		if c, err = s.own(); err != nil {
			return host.Config{}, err
		}
	}
	c.Log = cfg.Log
	if cfg.Host != nil {
		c = cfg.Host(c)
	}
	c.Told = strategies.Settings{Gateway: cfg.Gateway, Region: cfg.Region, JSON: s.Settings}
	return c, nil
}

// own is how a strategy is run that no path is given for.
func (s Service) own() (host.Config, error) {
	if _, ok := s.builtin(); ok {
		return host.Builtin(s.Strategy)
	}
	if c, ok := builtin.FindCompanion(s.Strategy); ok {
		return host.Companion(c.Name, c.Program)
	}
	return host.Config{}, fmt.Errorf("strategy %s is not built in", s.Strategy)
}

// check reports what would keep a service from ever being planned for.
func (s Service) check(cfg Config) error {
	one := strategies.Roster{{Name: cfg.Gateway, Region: cfg.Region, Role: strategies.Voter, JoinIndex: 1}}
	c, err := s.Host(cfg)
	if err == nil {
		_, err = host.NewReplicator(c)
	}
	return errors.Join(s.input(one).Validate(), s.first().Validate(), err)
}
