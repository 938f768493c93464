package doctor

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/quorate/quorate/internal/planner"
	"github.com/quorate/quorate/plugins/host"
	"github.com/quorate/quorate/strategies"
)

// replication has the stores of replication strategies looked at, each once.
func (e *examination) replication(ctx context.Context) {
	seen := map[string]bool{}
	for i, s := range e.cfg.Services {
		r := e.cfg.ReplicationOf(s.Name)
		one := planner.Service{
			Name: s.Name, Strategy: r.Strategy, Path: r.Plugin.Path, SHA256: r.Plugin.SHA256, Args: r.Plugin.Args,
			Settings: string(r.Plugin.Settings),
		}
		key := fmt.Sprintf("%q", []string{one.Strategy, one.Path, one.Settings, fmt.Sprint(one.Args)})
		if one.BuiltIn() || seen[key] {
			continue
		}
		seen[key] = true
		e.work.Go(func() { e.strategy(ctx, i, one) })
	}
}

// strategy runs a strategy as a gateway does, and asks its store, if it is one, what it has found.
func (e *examination) strategy(ctx context.Context, at int, s planner.Service) {
	row := e.begin(place{subject: aboutStore, first: at}, "strategy", s.Strategy)
	cfg, err := s.Host(planner.Config{Gateway: e.cfg.Name, Region: e.cfg.Region, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		row.set(Fail, plainly(err), "install the program, or correct replication.plugin")
		return
	}
	p, err := host.LaunchReplication(ctx, cfg)
	if err != nil {
		row.set(Fail, plainly(err), "correct replication.plugin; quorate strategy check --replication says more")
		return
	}
	defer p.Close()
	if !p.Stores {
		row.set(OK, "starts, and keeps no contents itself", "-")
		return
	}
	found, err := p.Inspect(ctx)
	if err != nil {
		row.set(Fail, plainly(err), "see that its engine can be reached from here")
		return
	}
	row.set(OK, "starts, and is a store", "-")
	e.findings(at, s.Strategy, found)
}

// findings are rows of their own. What a store cannot be reached without fails, the rest warns.
func (e *examination) findings(at int, strategy string, found []strategies.Finding) {
	for i, f := range found {
		row := e.begin(place{subject: aboutStore, first: at, second: i + 1}, "store", strategy+": "+f.Subject)
		switch {
		case f.Good:
			row.set(OK, f.Text, "-")
		case f.Subject == "reachable" || f.Subject == "bucket" || f.Subject == "permissions":
			row.set(Fail, f.Text, f.Advice)
		default:
			row.set(Warn, f.Text, f.Advice)
		}
	}
}
