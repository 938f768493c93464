// Package planner asks replication strategies how the sessions of services are kept, and holds on to the last good plan
// of each. It must not know replicas, sessions, who owns what, or the configuration file: where a strategy is dead, late
// or wrong, the plan that is in force stays.
package planner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/internal/asked"
	"github.com/quorate/quorate/plugins/host"
	"github.com/quorate/quorate/strategies"
)

// Times between two looks at what there is to ask.
const (
	least = 200 * time.Millisecond // however often the roster changes
	again = asked.Again            // after a fault
	look  = 5 * time.Second        // when all is well: what nobody said has changed
)

// Config says for whom plans are made.
type Config struct {
	Gateway string // this one, which strategies are told
	Region  string // of this gateway
	// Roster is the committed roster, as far as it is applied here; empty while there is none.
	Roster func() strategies.Roster
	// Changed is called after plans have changed; it must not block. nil: nobody wants to know.
	Changed func()
	// Event is called with what operators should see; it must not block. nil: nobody sees it.
	Event func(kind, gateway, text string)
	// Host changes how a strategy's process is run, nil: not at all.
	Host func(host.Config) host.Config
	Log  *slog.Logger // default: none
}

// Planner holds the plan of every service. Its methods may be called concurrently.
type Planner struct {
	cfg  Config
	kick chan struct{}
	view atomic.Pointer[map[string]held]

	mu        sync.Mutex // guards what follows; a strategy is never asked under it
	entries   map[string]*entry
	roster    strategies.Roster // the last that was seen
	processes map[program]*process
}

// held is what others see of a service.
type held struct {
	plan  strategies.Plan
	store strategies.Store // nil: the plan is not to store
	// former is the store of the strategy before, which may have what nobody has put anew yet; nil: none.
	former strategies.Store
}

// New returns a planner with a plan for each service. Strategies are asked once Run is called.
func New(cfg Config, services []Service) (*Planner, error) {
	if cfg.Roster == nil {
		return nil, errors.New("planner: config: there is no roster")
	}
	if err := (strategies.Settings{Gateway: cfg.Gateway, Region: cfg.Region}).Validate(); err != nil {
		return nil, fmt.Errorf("planner: config: %w", err)
	}
	if cfg.Changed == nil {
		cfg.Changed = func() {}
	}
	if cfg.Event == nil {
		cfg.Event = func(string, string, string) {}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	p := &Planner{cfg: cfg, kick: make(chan struct{}, 1), entries: map[string]*entry{}, processes: map[program]*process{}}
	if err := p.Use(services); err != nil {
		return nil, err
	}
	return p, nil
}

// Use puts other services in the place of those there are. A service that stays keeps its plan until its strategy has
// answered, unless the strategy is built in, which holds at once. On an error, that of a strategy's configuration,
// nothing changes.
func (p *Planner) Use(services []Service) error {
	if err := Check(p.cfg, services); err != nil {
		return err
	}
	next := make(map[string]*entry, len(services))
	for _, s := range services {
		next[s.Name] = &entry{service: s, wanted: s.first()}
	}
	p.mu.Lock()
	for name, e := range next {
		e.follow(p.entries[name])
	}
	p.entries = next
	p.publish()
	p.mu.Unlock()
	p.Replaced()
	return nil
}

// Check returns what a planner of that configuration would refuse to use.
func Check(cfg Config, services []Service) error {
	for _, s := range services {
		if err := s.check(cfg); err != nil {
			return fmt.Errorf("planner: service %s: %w", s.Name, err)
		}
	}
	return nil
}

// Replaced says that the roster may have changed. It does not wait.
func (p *Planner) Replaced() {
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// Plan returns how a service's sessions are kept now, with no more copies than there are gateways for; no copies for a
// service that is not known. It takes no lock.
func (p *Planner) Plan(service string) strategies.Plan {
	if h, ok := (*p.view.Load())[service]; ok {
		return h.plan
	}
	return unknown()
}

// Store returns where a service's sessions are kept when its plan is to store them; false where it is not. It takes no
// lock; what it returns must not be called on the path of a request.
func (p *Planner) Store(service string) (strategies.Store, bool) {
	h := (*p.view.Load())[service]
	return h.store, h.store != nil
}

// Former returns the store that kept a service's sessions under the strategy before, until Left is called; false where
// there is none. What it returns must not be called on the path of a request.
func (p *Planner) Former(service string) (strategies.Store, bool) {
	h := (*p.view.Load())[service]
	return h.former, h.former != nil
}

// Formers returns the services of which there is one.
func (p *Planner) Formers() (all []string) {
	for service, h := range *p.view.Load() {
		if h.former != nil {
			all = append(all, service)
		}
	}
	return all
}

// Left says that nobody needs the former store of a service any more. Its process ends if no other service needs it.
func (p *Planner) Left(service string) {
	p.mu.Lock()
	if e := p.entries[service]; e != nil {
		e.former = nil
	}
	p.publish()
	p.mu.Unlock()
	p.Replaced()
}

// Run keeps the strategies' processes running and asks them, until ctx ends; then they have ended too. It must be
// called once. It returns nil.
func (p *Planner) Run(ctx context.Context) error {
	defer p.stop()
	for ctx.Err() == nil {
		wait := time.NewTimer(p.round(ctx))
		floor := time.NewTimer(least)
		select {
		case <-ctx.Done():
		case <-wait.C:
		case <-p.kick:
			select {
			case <-ctx.Done():
			case <-floor.C:
			}
		}
		wait.Stop()
		floor.Stop()
	}
	return nil
}

// round starts and ends processes as services need them, asks what is to be asked, and returns how long nothing needs
// to be done after that.
func (p *Planner) round(ctx context.Context) time.Duration {
	roster := p.cfg.Roster()
	p.follow(ctx, roster)
	next := look
	for _, name := range p.names() {
		if ctx.Err() != nil {
			return 0
		}
		if !p.ask(ctx, name, roster) {
			next = again
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.publish()
	return next
}

// names returns the services in order.
func (p *Planner) names() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var names []string
	for name := range p.entries {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// publish shows others what there is; mu is held.
func (p *Planner) publish() {
	next, changed := make(map[string]held, len(p.entries)), false
	for name, e := range p.entries {
		h := held{plan: e.within(p.roster)}
		if r := p.processes[e.service.program()]; r != nil && h.plan.Class == strategies.Stored {
			h.store = r.replicator
		}
		if e.former != nil {
			if r := p.processes[e.former.program()]; r != nil {
				h.former = r.replicator
			}
		}
		next[name] = h
		if was := p.view.Load(); was == nil || (*was)[name] != h {
			changed = true
		}
	}
	p.view.Store(&next)
	if changed {
		p.cfg.Changed()
	}
}
