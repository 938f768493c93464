package planner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/quorate/quorate/internal/beside"
	"github.com/quorate/quorate/internal/poll"
	"github.com/quorate/quorate/plugins"
	"github.com/quorate/quorate/plugins/host"
	"github.com/quorate/quorate/strategies"
	"github.com/quorate/quorate/strategies/builtin"
)

// TestMain makes the test binary a plugin of many kinds: environments are stripped, so arguments say which.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "strategy" { // as a built-in one is run
		b, ok := builtin.FindReplication(os.Args[2])
		if !ok {
			os.Exit(2)
		}
		plugins.ServeReplication(b.Plan)
		return
	}
	if len(os.Args) == 3 && os.Args[1] == "plugin" {
		plugins.ServeReplication(planOf(os.Args[2]))
		return
	}
	if len(os.Args) == 4 && os.Args[1] == "store" {
		plugins.ServeReplication(&stored{})
		return
	}
	goleak.VerifyTestMain(m)
}

// planOf is a strategy of the kind; its plans have one copy.
func planOf(kind string) strategies.PlanFunc {
	one := func(in strategies.PlanInput) (strategies.Plan, error) {
		return strategies.Plan{Class: strategies.Async, Copies: 1, Timeout: in.Timeout, Retries: in.Retries, Spread: strategies.SpreadNone}, nil
	}
	return func(in strategies.PlanInput) (strategies.Plan, error) {
		p, err := one(in)
		if file, ok := strings.CutPrefix(kind, "good until "); ok { // the file is there
			if _, bad := os.Stat(file); bad == nil {
				select {}
			}
			return p, err
		}
		switch kind {
		case "refuses":
			return p, strategies.Refuse("not on a Monday")
		case "fails":
			return p, errors.New("no idea")
		case "hangs":
			select {}
		case "crashes":
			os.Exit(7)
		case "lies":
			p.Copies = 1 << 30
		case "is no store":
			p.Class = strategies.Stored
		case "wants many":
			p.Copies = 8
		}
		return p, err
	}
}

// stored is a store that keeps nothing.
type stored struct{ told strategies.Settings }

func (s *stored) Configure(_ context.Context, told strategies.Settings) error {
	s.told = told
	return nil
}

func (s *stored) Plan(_ context.Context, in strategies.PlanInput) (strategies.Plan, error) {
	return strategies.Plan{Class: strategies.Stored, Timeout: in.Timeout, Retries: in.Retries, Spread: strategies.SpreadNone}, nil
}

func (s *stored) Put(context.Context, []strategies.Record) ([]strategies.Written, error) {
	return nil, strategies.ErrFull
}

func (s *stored) Get(_ context.Context, q []strategies.Query) ([]strategies.Answer, error) {
	return make([]strategies.Answer, len(q)), nil
}

func (s *stored) List(context.Context, func(strategies.Head) error) error { return nil }

func (s *stored) Inspect(context.Context) ([]strategies.Finding, error) {
	return []strategies.Finding{{Good: true, Subject: "settings", Text: s.told.JSON + " at " + s.told.Gateway + " in " + s.told.Region}}, nil
}

// fleet is what a planner is told of, and what it tells.
type fleet struct {
	mu      sync.Mutex
	roster  strategies.Roster
	events  []string
	changed atomic.Int64
}

func (f *fleet) has(gateways int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.roster = nil
	for i := range gateways {
		f.roster = append(f.roster, strategies.Gateway{
			Name: fmt.Sprint("gw-", i), Region: fmt.Sprint("r", i), Role: strategies.Voter, JoinIndex: uint64(i + 1),
		})
	}
}

func (f *fleet) now() strategies.Roster {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.roster
}

// told returns the events that hold a text.
func (f *fleet) told(text string) (found []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.events {
		if strings.Contains(e, text) {
			found = append(found, e)
		}
	}
	return found
}

func (f *fleet) event(kind, _, text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, kind+": "+text)
}

// started returns a planner that runs until the test ends, in a fleet of so many gateways.
func started(t *testing.T, gateways int, services ...Service) (*Planner, *fleet) {
	t.Helper()
	f := &fleet{}
	f.has(gateways)
	dir := t.TempDir()
	p, err := New(Config{
		Gateway: "gw-0", Region: "r0", Roster: f.now, Event: f.event, Changed: func() { f.changed.Add(1) },
		Host: func(c host.Config) host.Config {
			c.Dir, c.Interval, c.Backoff, c.MaxBackoff = dir, 100*time.Millisecond, 10*time.Millisecond, 20*time.Millisecond
			if c.Name != "hangs" {
				c.Decide = 2 * time.Second // tests of other things than time run on a busy machine
			}
			return c
		},
	}, services)
	if err != nil {
		t.Fatal(err)
	}
	beside.Run(t, p.Run)
	return p, f
}

// service has a strategy that is built in, or a plugin of the kind.
func service(t *testing.T, name, strategy string) Service {
	t.Helper()
	s := Service{Name: name, Strategy: strategy, Factor: 2, Timeout: time.Second, Retries: 2}
	if _, ok := builtin.FindReplication(strategy); ok {
		return s
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s.Path, s.Args = self, []string{"plugin", strategy}
	if s.SHA256, err = host.Checksum(self); err != nil {
		t.Fatal(err)
	}
	return s
}

// status returns that of a service.
func status(t *testing.T, p *Planner, service string) Status {
	t.Helper()
	for _, s := range p.Status() {
		if s.Service == service {
			return s
		}
	}
	t.Fatalf("no status of %s", service)
	return Status{}
}

// until polls what only another process knows.
func until(t *testing.T, ok func() error) {
	t.Helper()
	poll.Nil(t, 5*time.Millisecond, 20*time.Second, ok)
}

// answered waits until a service has the plan of its strategy.
func answered(t *testing.T, p *Planner, service string) Status {
	t.Helper()
	until(t, func() error {
		if s := status(t, p, service); !s.Answered || s.Err != nil {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
	return status(t, p, service)
}
