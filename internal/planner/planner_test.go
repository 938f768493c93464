package planner

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quorate/quorate/plugins/host"
	"github.com/quorate/quorate/strategies"
)

// Built-in strategies hold at once, and are asked where there is anybody to hold a copy.
func TestBuiltinStrategies(t *testing.T) {
	p, f := started(t, 3, service(t, "a", "async"), service(t, "b", "quorum"), service(t, "c", "async"))
	if got := p.Plan("b"); got.Class != strategies.Quorum {
		t.Errorf("before it is asked: %v", got)
	}
	a, b, c := answered(t, p, "a"), answered(t, p, "b"), answered(t, p, "c")
	if want := "async, 2 copies, spread over region, 2 tries of 1s"; a.Plan.String() != want || a.Wanted != 2 {
		t.Errorf("%+v, want %s", a, want)
	}
	if want := "quorum, 0 copies, spread over none, 2 tries of 1s"; b.Plan.String() != want {
		t.Errorf("%+v, want %s", b, want)
	}
	if a.PID != c.PID || a.PID == b.PID || a.PID == 0 {
		t.Errorf("processes %d, %d and %d: one for each strategy", a.PID, b.PID, c.PID)
	}
	if ready := p.Ready(); ready != nil {
		t.Errorf("it waits for %v", ready)
	}
	if got := p.Plan("unknown"); got.Copies != 0 || got.Validate() != nil {
		t.Errorf("of no service: %v", got)
	}
	f.has(2)
	p.Replaced()
	until(t, func() error {
		if got := p.Plan("a"); got.Copies != 1 {
			return fmt.Errorf("in a fleet of two: %v", got)
		}
		return nil
	})
	if s := status(t, p, "a"); s.Wanted != 2 {
		t.Errorf("what is wanted is not said: %+v", s)
	}
	f.has(1)
	p.Replaced()
	until(t, func() error {
		if s := status(t, p, "a"); s.State != host.Stopped || s.Plan.Copies != 0 || s.Err != nil {
			return fmt.Errorf("in a fleet of one: %+v", s)
		}
		return nil
	})
}

// A plan holds while its strategy is dead, and another process is asked again.
func TestPlanOutlivesItsStrategy(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bad")
	s := service(t, "a", "good until "+file)
	p, f := started(t, 3, s)
	first := answered(t, p, "a")
	if first.Plan.Copies != 1 || first.Plan.Spread != strategies.SpreadNone {
		t.Fatalf("%+v", first)
	}
	if len(f.told("plan_changed: service a: async, 1 copies")) != 1 || f.changed.Load() == 0 {
		t.Errorf("nobody is told: %v", f.told(""))
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil { // what comes up now hangs
		t.Fatal(err)
	}
	if err := syscall.Kill(first.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	until(t, func() error {
		if s := status(t, p, "a"); !errors.Is(s.Err, host.ErrLate) {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
	if got := p.Plan("a"); got != first.Plan {
		t.Errorf("%v instead of %v", got, first.Plan)
	}
	if len(f.told("planner_changed: strategy good until")) != 1 {
		t.Errorf("told: %v", f.told(""))
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	until(t, func() error {
		if len(f.told("plans again for service a")) != 1 {
			return fmt.Errorf("%v, %+v", f.told(""), p.Status())
		}
		return nil
	})
}

// Whatever a strategy does, there is a plan that can be followed.
func TestBadStrategies(t *testing.T) {
	for kind, want := range map[string]error{
		"refuses": strategies.ErrRefused, "fails": host.ErrFailed, "hangs": host.ErrLate, "crashes": nil,
		"lies": host.ErrInadmissible, "is no store": host.ErrInadmissible,
	} {
		t.Run(kind, func(t *testing.T) {
			p, f := started(t, 3, service(t, "a", kind))
			until(t, func() error {
				s := status(t, p, "a")
				if told := f.told("does not plan for service a"); s.Err == nil || want != nil && !errors.Is(s.Err, want) || len(told) == 0 {
					return fmt.Errorf("%+v, told %v", s, told)
				}
				return nil
			})
			if got, want := p.Plan("a").String(), "async, 2 copies, spread over region, 2 tries of 1s"; got != want {
				t.Errorf("%s, want %s", got, want)
			}
			if s, ready := status(t, p, "a"), p.Ready(); s.Answered || len(ready) != 1 || !strings.Contains(ready[0], "service a: replication strategy "+kind) {
				t.Errorf("%+v, ready %v", s, ready)
			}
		})
	}
}

// More copies than there are gateways for are wanted, and fewer made.
func TestPlanWithin(t *testing.T) {
	p, _ := started(t, 3, service(t, "a", "wants many"))
	if s := answered(t, p, "a"); s.Wanted != 8 || p.Plan("a").Copies != 2 {
		t.Errorf("%+v", s)
	}
}

func TestStore(t *testing.T) {
	s := service(t, "a", "mine")
	s.Args, s.Settings = []string{"store", "x", "y"}, `{"urls":["x"]}`
	p, _ := started(t, 1, s, service(t, "b", "async"))
	if _, ok := p.Store("a"); ok {
		t.Error("a store before there is a plan to store")
	}
	until(t, func() error {
		if _, ok := p.Store("a"); !ok {
			return fmt.Errorf("%+v", p.Status())
		}
		return nil
	})
	if _, ok := p.Store("b"); ok {
		t.Error("async has a store")
	}
	if s := status(t, p, "a"); !s.Stores || s.Plan.Class != strategies.Stored {
		t.Errorf("%+v", s)
	}
	store, _ := p.Store("a")
	found, err := store.Inspect(t.Context())
	if err != nil || len(found) != 1 || found[0].Text != `{"urls":["x"]} at gw-0 in r0` {
		t.Errorf("%+v, %v", found, err)
	}
	record := strategies.Record{Key: "a", Service: "a", Owner: "gw-0", Version: 1, Until: time.Now().Unix() + 60}
	if _, err := store.Put(t.Context(), []strategies.Record{record}); !errors.Is(err, strategies.ErrFull) {
		t.Errorf("%v", err)
	}
}

// A store that is left is asked until somebody says that it is not needed any more.
func TestFormer(t *testing.T) {
	s, async := service(t, "a", "mine"), service(t, "a", "async")
	s.Args, s.Settings = []string{"store", "x", "y"}, `{"urls":["x"]}`
	p, _ := started(t, 3, s)
	stored := func() error {
		if _, ok := p.Store("a"); !ok {
			return fmt.Errorf("%+v", p.Status())
		}
		return nil
	}
	until(t, stored)
	use := func(s Service) {
		if err := p.Use([]Service{s}); err != nil {
			t.Fatal(err)
		}
	}
	if all := p.Formers(); len(all) > 0 {
		t.Errorf("nothing was left, and there are %q", all)
	}
	before := status(t, p, "a").PID
	use(async)
	more := async
	more.Factor = 1
	use(more)
	former, ok := p.Former("a")
	if _, still := p.Store("a"); !ok || still || len(p.Formers()) != 1 {
		t.Fatalf("former %v, store %v, %q", ok, still, p.Formers())
	}
	answered(t, p, "a") // after a round
	if _, err := former.Inspect(t.Context()); err != nil {
		t.Error(err)
	}
	use(s)
	until(t, stored)
	if _, ok := p.Former("a"); ok || status(t, p, "a").PID != before {
		t.Errorf("it is back, and former %v; %+v", ok, p.Status())
	}
	use(async)
	p.Left("a")
	if _, ok := p.Former("a"); ok {
		t.Error("left, and still there")
	}
	until(t, func() error {
		if _, err := former.Inspect(t.Context()); err == nil {
			return errors.New("its process still runs")
		}
		return nil
	})
}

// Services and strategies are replaced while it runs.
func TestUse(t *testing.T) {
	p, _ := started(t, 3, service(t, "a", "async"))
	first := answered(t, p, "a")
	more := service(t, "a", "async")
	more.Factor = 1
	if err := p.Use([]Service{more, service(t, "b", "wants many")}); err != nil {
		t.Fatal(err)
	}
	if got := p.Plan("a"); got.Copies != 1 {
		t.Errorf("another factor: %v", got)
	}
	if s := answered(t, p, "a"); s.PID != first.PID {
		t.Errorf("another process of the same strategy: %+v", s)
	}
	answered(t, p, "b")
	if err := p.Use([]Service{service(t, "b", "hangs")}); err != nil {
		t.Fatal(err)
	}
	if got := p.Plan("b").String(); got != "async, 2 copies, spread over none, 2 tries of 1s" {
		t.Errorf("until the new one answers: %v", got)
	}
	until(t, func() error {
		if err := syscall.Kill(first.PID, 0); err == nil {
			return fmt.Errorf("process %d runs for nobody", first.PID)
		}
		return nil
	})
	bad := service(t, "b", "hangs")
	bad.SHA256 = "1"
	if err := p.Use([]Service{bad}); err == nil || !strings.Contains(err.Error(), "service b: ") {
		t.Errorf("%v", err)
	}
	if s := p.Status(); len(s) != 1 || s[0].Strategy != "hangs" {
		t.Errorf("after an error: %+v", s)
	}
}

func TestConfig(t *testing.T) {
	for want, cfg := range map[string]Config{
		"no roster": {Gateway: "a", Region: "b"},
		"not names": {Gateway: "a", Roster: func() strategies.Roster { return nil }},
	} {
		if _, err := New(cfg, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	good := Config{Gateway: "a", Region: "b", Roster: func() strategies.Roster { return nil }}
	for want, s := range map[string]Service{
		"not built in":    {Name: "a", Strategy: "mine", Timeout: time.Second, Retries: 1},
		"9 copies":        {Name: "a", Strategy: "async", Factor: 9, Timeout: time.Second, Retries: 1},
		"is not a name":   {Name: "a b", Strategy: "async", Timeout: time.Second, Retries: 1},
		"is not absolute": {Name: "a", Strategy: "mine", Path: "x", Timeout: time.Second, Retries: 1},
	} {
		if _, err := New(good, []Service{s}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// BenchmarkPlan is what the path of a request may use.
func BenchmarkPlan(b *testing.B) {
	p, err := New(Config{Gateway: "a", Region: "b", Roster: func() strategies.Roster { return nil }}, []Service{{Name: "a", Strategy: "async", Timeout: time.Second, Retries: 1}})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		p.Plan("a")
	}
}
