package edge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/control"
	"github.com/quorate/quorate/internal/settings"
	"github.com/quorate/quorate/internal/strategist"
	"github.com/quorate/quorate/plugins/host"
	"github.com/quorate/quorate/strategies"
)

// strategy is the split-brain strategy that this gateway asks while it leads: the file's, or what operators have
// chosen at run time.
type strategy struct {
	*strategist.Strategist
	e *Edge

	mu  sync.Mutex // held while it is changed
	use choice     // the one that the strategist has
}

// choice is a strategy and its options. What is compared of it is all but the options, which are part of a question.
type choice struct {
	name    string
	plugin  config.Plugin
	options map[string]string
}

// chosen returns the strategy that a configuration chooses.
func chosen(cfg *config.Config) choice {
	s, ok := cfg.Strategy(config.SplitBrainStrategy)
	if !ok {
		return choice{cfg.SplitBrain.Strategy, cfg.SplitBrain.Plugin, cfg.SplitBrain.OptionsOf()}
	}
	options := config.SplitBrain{Options: s.Options, Master: s.Master}.OptionsOf()
	return choice{s.Strategy, config.Plugin{Path: s.Plugin.Path, SHA256: s.Plugin.SHA256, Args: s.Plugin.Args}, options}
}

// chosen returns the strategy that is chosen now. A witness follows no run-time settings but this one: it may lead.
func (e *Edge) chosen() choice {
	cfg := e.cfg.Load()
	if isWitness(cfg) {
		if d, ok := e.documents.part.Set().Get(settings.Strategies, config.SplitBrainStrategy); ok {
			if read, err := config.ParseDocument(d.Kind, d.Name, d.Body); err == nil { // it was read before it was proposed
				cfg, _ = cfg.With([]config.Document{read}, nil) // one that its own file contradicts does not count
			}
		}
	}
	return chosen(cfg)
}

func (c choice) same(o choice) bool {
	return c.name == o.name && c.plugin.Path == o.plugin.Path && c.plugin.SHA256 == o.plugin.SHA256 && slices.Equal(c.plugin.Args, o.plugin.Args)
}

func (c choice) host() (host.Config, error) {
	if c.plugin.Enabled() {
		return host.Config{Name: c.name, Path: c.plugin.Path, Args: c.plugin.Args, SHA256: c.plugin.SHA256}, nil
	}
	return host.Builtin(c.name)
}

// openStrategy prepares the split-brain strategy; it runs while this gateway leads.
func (e *Edge) openStrategy(cfg *config.Config) error {
	s := &strategy{e: e, use: chosen(cfg)}
	plugin, err := s.use.host()
	if err != nil {
		return err
	}
	plugin.Log = e.log
	if s.Strategist, err = strategist.New(strategist.Config{Plugin: plugin, Log: e.log}); err != nil {
		return err
	}
	e.strategy = s
	return nil
}

// decide asks the strategy that is chosen now.
func (s *strategy) decide(ctx context.Context, in strategies.Input) (strategies.Rule, error) {
	if err := s.follow(s.e.chosen()); err != nil {
		return strategies.Rule{}, err
	}
	rule, err := s.Decide(ctx, in)
	// Leadership is on its way, to here or from here, or the strategy has a bad moment: nobody has said no.
	if errors.Is(err, strategist.ErrIdle) || errors.Is(err, host.ErrLate) || errors.Is(err, host.ErrDown) {
		return rule, fmt.Errorf("%w: %w", control.ErrNoQuorum, err)
	}
	return rule, err
}

// follow puts another strategy in the place of the one that runs, if another is chosen.
func (s *strategy) follow(c choice) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.same(s.use) {
		return nil
	}
	plugin, err := c.host()
	if err != nil {
		return err
	}
	plugin.Log = s.e.log
	if err := s.Use(plugin); err != nil {
		return err
	}
	s.use = c
	s.e.log.Info("another split-brain strategy is chosen", "strategy", c.name)
	return nil
}

// options are those of the strategy that is chosen now.
func (s *strategy) options() map[string]string { return s.e.chosen().options }
