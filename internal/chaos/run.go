// Package chaos makes runs: a fleet, agents, a schedule of faults, and in the end a history that is judged. It must
// not know how any of these work; a run is their order.
package chaos

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/chaos/fleet"
	"github.com/quorate/quorate/internal/chaos/history"
	"github.com/quorate/quorate/internal/chaos/load"
	"github.com/quorate/quorate/internal/chaos/schedule"
	"github.com/quorate/quorate/internal/testnet"
	"github.com/quorate/quorate/strategies"
)

// Config is what all runs have in common. The zero value of a duration stands for its default.
type Config struct {
	Binary  string
	Old     string   // an older binary, which a rolling upgrade begins with; "" is Binary
	Env     []string // of the gateways, beside this process's own
	Lawless bool     // gateways without authority: the control
	// Lease of the gateways, at most what the control group promises for one region (four intervals), so that it is
	// what they keep to; 0: auto, and they are held to the longest promise that the control group was heard to say.
	Lease    time.Duration
	Interval time.Duration // of heartbeats; default 200 ms
	Slack    time.Duration // of the machine; default 150 ms
	Delay    time.Duration // each way between two regions; default 5 ms
	Think    time.Duration // of an agent between two calls; default 25 ms
	Agents   int           // of each era at each service of each gateway; default 1
	Sessions string        // instead of the schedule's
	Rovers   int           // agents of sessions at each service; default 4
}

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&c.Interval, 200 * time.Millisecond}, {&c.Slack, 150 * time.Millisecond},
		{&c.Delay, 5 * time.Millisecond}, {&c.Think, 25 * time.Millisecond}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	c.Agents = max(c.Agents, 1)
	if c.Rovers == 0 {
		c.Rovers = 4
	}
	return c
}

// Lease is what runs give the gateways unless they are to find it out: less than any promise with heartbeats each
// 200 ms, so that it is exact.
const Lease = 700 * time.Millisecond

// Bounds of what a run waits for.
const (
	converge   = 10 * time.Second // after a heal, as the reliability paper asks
	readyTime  = 30 * time.Second // until every gateway of a new fleet writes
	unpromised = time.Second      // what a fleet without a promise is held to
	handled    = 2 * time.Second  // until the side that may write does; a shorter episode is not judged by it
)

// ErrNotReady is returned when a new fleet does not write. It says nothing about faults.
var ErrNotReady = errors.New("the fleet did not come to write")

// Run makes one schedule happen to a new fleet in dir, which must exist. The history is left there, too.
func Run(ctx context.Context, cfg Config, s schedule.Schedule, dir string) (*history.History, error) {
	cfg = cfg.withDefaults()
	cfg.Sessions = cmp.Or(cfg.Sessions, s.Sessions)
	if s.Has(schedule.Rule) {
		cfg.Lease = 0 // the lease stands beside the strategy in a file, and what stands there cannot be set
	}
	rules, err := newRules(s)
	if err != nil {
		return nil, fmt.Errorf("chaos: %w", err)
	}
	zero, clock := startClock()
	r := &run{cfg: cfg, schedule: s, rules: rules, zero: zero, clock: clock}
	r.history = history.History{Seed: s.Seed, Title: s.String(), Gateways: s.Gateways,
		Bounds: history.Bounds{Slack: cfg.Slack, Converge: converge, Handled: handled}}
	err = r.all(ctx, dir)
	return &r.history, errors.Join(err, keep(dir, &r.history))
}

// keep writes the history to a file, so that it can be judged again.
func keep(dir string, h *history.History) error {
	raw, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("chaos: %w", err)
	}
	return os.WriteFile(filepath.Join(dir, "history.json"), raw, 0o600)
}

// Load reads a history that a run left.
func Load(dir string) (*history.History, error) {
	raw, err := os.ReadFile(filepath.Join(dir, "history.json"))
	if err != nil {
		return nil, fmt.Errorf("chaos: %w", err)
	}
	h := new(history.History)
	if err := json.Unmarshal(raw, h); err != nil {
		return nil, fmt.Errorf("chaos: %s: %w", dir, err)
	}
	return h, nil
}

// run is one run under way.
type run struct {
	cfg      Config
	schedule schedule.Schedule
	zero     time.Duration
	clock    func() time.Duration
	rules    *rules
	fleet    *fleet.Fleet
	load     *load.Load
	history  history.History
}

func (r *run) all(ctx context.Context, dir string) error {
	f, err := fleet.Start(ctx, fleet.Config{
		Binary: r.cfg.Binary, Dir: dir, Gateways: r.schedule.Gateways, Strategy: r.schedule.Strategy, Master: r.schedule.Master,
		Lease: r.cfg.Lease, Interval: r.cfg.Interval, Lawless: r.cfg.Lawless, Seed: r.schedule.Seed, Delay: r.cfg.Delay, Clock: r.clock, Zero: r.zero,
		Disks: r.schedule.Has(schedule.Full), Power: r.schedule.Has(schedule.Power), Settable: r.rules.settable, Spares: r.schedule.Spares(), Old: r.old(), Env: r.cfg.Env,
		Sessions: r.cfg.Sessions,
	})
	if err != nil {
		return err
	}
	defer f.Close()
	r.fleet = f
	r.load = load.Start(ctx, load.Config{Places: places(f), Agents: r.cfg.Agents, Think: r.cfg.Think, Seed: r.schedule.Seed, Clock: r.clock,
		Roam: r.schedule.Has(schedule.Upgrade), Sessions: r.rovers()})
	gates, noise := watch(f, r.clock, r.cfg.Sessions != ""), startCanary(r.clock)
	err = r.episodes(ctx)
	r.history.End = r.clock()
	r.history.Rules, r.history.Gateways = r.rules.may, r.rules.voted()
	r.history.Calls = r.load.Stop()
	samples, promise := gates.stop()
	r.history.Samples, r.history.Noises = samples, noise.stop()
	if r.cfg.Sessions != "" {
		r.history.Sessions = &history.Sessions{Class: r.cfg.Sessions, Ops: r.load.Ops(), Lags: gates.lags, Sampling: lagging}
	}
	r.history.Bounds.Lease = r.lease(promise)
	r.history.Changes = f.Changes()
	r.history.LastIndex = f.Cluster(ctx).Commit
	r.history.Sealings = f.Sealings()
	effects, lost := f.Effects(r.load.Gateway)
	r.history.Effects = effects
	return errors.Join(err, lost)
}

func (r *run) rovers() int {
	if r.cfg.Sessions == "" {
		return 0
	}
	return r.cfg.Rovers
}

// old is the binary that the fleet begins with, "" for the one that is tried.
func (r *run) old() string {
	if r.schedule.Has(schedule.Upgrade) {
		return r.cfg.Old
	}
	return ""
}

// lease is what the gateways are held to: the lease that they are given, or the promise that the control group said it
// had committed.
func (r *run) lease(promise time.Duration) time.Duration {
	switch {
	case r.cfg.Lease == 0 && promise == 0:
		return unpromised
	case r.cfg.Lease == 0:
		return promise
	}
	return r.cfg.Lease
}

// services are the paths of those that agents use.
var services = [...]string{fleet.Tools, fleet.Shared}

func places(f *fleet.Fleet) (all []load.Place) {
	for _, m := range f.Members() {
		if m.Role != strategies.Witness {
			all = append(all, load.Place{Gateway: m.Name, URLs: urls(m),
				Transport: func() http.RoundTripper { return m.Transport() }})
		}
	}
	return all
}

func urls(m *fleet.Member) (all []string) {
	for _, s := range services {
		all = append(all, m.URL(s))
	}
	return all
}

// episodes lets one after the other happen.
func (r *run) episodes(ctx context.Context) error {
	if err := r.allWrite(ctx, readyTime); err != nil {
		return fmt.Errorf("chaos: %w: %w", ErrNotReady, err)
	}
	if err := r.begin(ctx); err != nil {
		return err
	}
	if err := testnet.Await(readyTime, "sessions are kept", func() bool {
		return r.load.Roving() >= r.rovers()*len(services) || ctx.Err() != nil
	}); err != nil {
		return fmt.Errorf("chaos: %w: %w", ErrNotReady, err)
	}
	for _, e := range r.schedule.Episodes {
		if err := r.episode(ctx, e); err != nil {
			return fmt.Errorf("chaos: %s: %w", e.Name, err)
		}
	}
	return ctx.Err()
}

func (r *run) episode(ctx context.Context, e schedule.Episode) (err error) {
	var standing []*fleet.Standing
	var names []string
	now := history.Episode{Whole: e.Rest == 0, Calm: e.Calm, Safe: e.Safe, MostTerms: e.MostTerms}
	term := r.term(ctx, e)
	now.Start = r.clock()
	end := func() (err error) {
		for _, s := range slices.Backward(standing) {
			err = errors.Join(err, s.End())
		}
		standing = nil
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	for _, f := range e.Faults {
		wait(ctx, f.After)
		r.rules.change(f, r.clock())
		s, err := r.fleet.Make(ctx, f)
		if err != nil {
			return err
		}
		standing = append(standing, s)
		names = append(names, s.Fault.String()) // with the leader's name
	}
	now.Name = strings.Join(names, " and ")
	now.Begin = r.clock()
	wait(ctx, e.Hold)
	now.Terms = int(r.term(ctx, e) - term)
	now.Heal = r.clock()
	if err := end(); err != nil {
		return err
	}
	if now.Whole {
		_ = r.allWrite(ctx, converge+time.Second) // who does not write is the judge's matter
		r.settled(ctx)
	} else {
		wait(ctx, e.Rest)
	}
	now.Quiet = r.clock()
	r.history.Episodes = append(r.history.Episodes, now)
	return ctx.Err()
}

// term is the control group's, asked for only where it is judged: the answer takes time.
func (r *run) term(ctx context.Context, e schedule.Episode) uint64 {
	if e.MostTerms == 0 {
		return 0
	}
	return r.fleet.Cluster(ctx).Term
}

// allWrite waits until every gateway has answered new writes.
func (r *run) allWrite(ctx context.Context, bound time.Duration) error {
	before := map[string]int{}
	members := r.fleet.Members()
	enough := 2 + 4*r.cfg.Agents // more than a gateway has agents: one of these writes was also asked for just now
	for _, m := range members {
		before[m.Name] = r.load.Wrote(m.Name)
	}
	return testnet.Await(bound, "every gateway writes", func() bool {
		for _, m := range members {
			if m.Role != strategies.Witness && r.load.Wrote(m.Name) < before[m.Name]+enough && ctx.Err() == nil {
				return false
			}
		}
		return true
	})
}

// wait waits for a time or the end of the run.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
