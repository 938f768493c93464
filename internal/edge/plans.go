package edge

import (
	"errors"
	"sync/atomic"

	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/keeper"
	"github.com/quorate/quorate/internal/planner"
	"github.com/quorate/quorate/internal/replica"
	"github.com/quorate/quorate/strategies"
)

// plans are how the services' sessions are kept. They are read at every change of a session.
type plans struct {
	all     atomic.Pointer[map[string]config.Replication]
	planner *planner.Planner // asks the strategies; nil at a witness
	acked   revisions        // of what stores have acknowledged
}

type servicePlan struct {
	keeper keeper.Plan
	store  replica.Plan
}

func newPlans(cfg *config.Config) *plans {
	p := &plans{}
	p.take(cfg)
	return p
}

// take follows a configuration.
func (p *plans) take(cfg *config.Config) {
	all := make(map[string]config.Replication, len(cfg.Services)+1)
	all[""] = cfg.Replication // of services that have left
	for _, s := range cfg.Services {
		all[s.Name] = cfg.ReplicationOf(s.Name)
	}
	p.all.Store(&all)
}

// open prepares the strategies; they are asked while the planner runs.
func (p *plans) open(e *Edge, cfg *config.Config) (err error) {
	p.planner, err = planner.New(planner.Config{
		Gateway: cfg.Name, Region: cfg.Region, Roster: e.gate.node.Roster, Event: e.events.Add, Log: e.log,
		Changed: func() {
			select {
			case <-e.sessions.open:
				e.sessions.store.Replaced()
				e.sessions.keeper.Replaced()
			default:
			}
		},
	}, planned(cfg))
	return err
}

// runs returns why the replication strategies of a configuration cannot run on this machine, nil if they can.
func runs(cfg *config.Config) error {
	if isWitness(cfg) {
		return nil
	}
	return planner.Check(planner.Config{Gateway: cfg.Name, Region: cfg.Region}, planned(cfg))
}

// follow has the strategies of another configuration asked.
func (p *plans) follow(cfg *config.Config) error {
	p.take(cfg)
	if p.planner == nil {
		return nil
	}
	return p.planner.Use(planned(cfg))
}

// planned are the services that there are plans for.
func planned(cfg *config.Config) []planner.Service {
	var all []planner.Service
	for _, s := range cfg.Services {
		r := cfg.ReplicationOf(s.Name)
		all = append(all, planner.Service{
			Name: s.Name, Strategy: r.Strategy, Factor: r.Factor, Timeout: r.Timeout, Retries: r.Retries, Options: r.Options,
			Path: r.Plugin.Path, SHA256: r.Plugin.SHA256, Args: r.Plugin.Args, Settings: string(r.Plugin.Settings),
		})
	}
	return all
}

// of returns what the strategy has planned for a service; for one that has left, what the file says at the top.
func (p *plans) of(service string) servicePlan {
	all := *p.all.Load()
	r, ok := all[service]
	if !ok || p.planner == nil {
		r = all[""]
		return servicePlan{keeper.Plan{Copies: r.Factor, Timeout: r.Timeout, Retries: r.Retries}, replica.Plan{Copies: r.Factor, Timeout: r.Timeout, Retries: r.Retries, MaxLag: r.MaxLag}}
	}
	plan := p.planner.Plan(service)
	k := keeper.Plan{Copies: plan.Copies, Timeout: plan.Timeout, Retries: plan.Retries}
	switch plan.Class {
	case strategies.Quorum: // copies made under another strategy stay where they are
		k.Class, k.Copies, plan.Copies = keeper.Quorum, 0, r.Factor
	case strategies.Stored:
		k.Class, k.Copies, plan.Copies = keeper.Stored, 0, r.Factor
	}
	return servicePlan{k, replica.Plan{Copies: plan.Copies, Timeout: plan.Timeout, Retries: plan.Retries, MaxLag: r.MaxLag}}
}

func (p *plans) ofKeeper(service string) keeper.Plan { return p.of(service).keeper }
func (p *plans) ofStore(service string) replica.Plan { return p.of(service).store }

// ready says which services are not kept yet as their strategy wants it.
func (p *plans) ready() []string {
	if p.planner == nil {
		return nil
	}
	return p.planner.Ready()
}

// former returns the store that a service had before its present strategy, while it is still asked.
func (p *plans) former(service string) (strategies.Store, error) {
	if p.planner != nil {
		if s, ok := p.planner.Former(service); ok {
			return s, nil
		}
	}
	return nil, errNoStore
}

var errNoStore = errors.New("edge: the strategy's store does not run")

// store returns a service's store, if its plan is to have one.
func (p *plans) store(service string) (strategies.Store, error) {
	if p.planner != nil {
		if s, ok := p.planner.Store(service); ok {
			return s, nil
		}
	}
	return nil, errNoStore
}
