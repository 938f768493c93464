package host

import (
	"context"

	"github.com/quorate/quorate/strategies"
)

// Plugin is one process of a plugin that nobody restarts, for those who want to see what it does. Its methods may be
// called concurrently.
type Plugin struct {
	l      *life
	launch *launcher
}

// Launch starts a plugin, which Close ends. The error wraps ErrStart, ErrVersion or ErrChecksum, or is that of the
// configuration.
func Launch(ctx context.Context, cfg Config) (*Plugin, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	sweep(cfg.Dir)
	launch := newLauncher()
	l, err := begin(ctx, cfg, launch.run)
	if err != nil {
		launch.close()
		return nil, err
	}
	return &Plugin{l: l, launch: launch}, nil
}

// Decide asks as Host.Decide does, without a breaker.
func (p *Plugin) Decide(ctx context.Context, in strategies.Input) (strategies.Rule, error) {
	return p.l.decide(ctx, in)
}

// Close kills the process with its group.
func (p *Plugin) Close() {
	p.l.end()
	p.launch.close()
}
