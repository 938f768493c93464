package regional

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/failover"
)

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// config is that of a gateway in us with eu and ap, all well.
func config() Config {
	return Config{
		Gateway: "gw", Region: "us", Capacity: 200, Logger: quiet(),
		Regions: []Remote{
			{Name: "eu", Seed: 8 * time.Millisecond, Capacity: 500},
			{Name: "ap", Seed: 300 * time.Millisecond, Via: regions.ViaDirect},
		},
		Gather: func() []Evidence { return nil },
	}
}

func newDriver(t testing.TB, cfg Config) *Driver {
	t.Helper()
	d, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// running runs d until the returned function is called.
func running(d *Driver) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var run sync.WaitGroup
	run.Go(func() { d.Run(ctx) })
	return func() { cancel(); run.Wait() }
}

func statusOf(t testing.TB, d *Driver, name string) Status {
	t.Helper()
	all := d.Status()
	i := slices.IndexFunc(all, func(s Status) bool { return s.Name == name })
	if i < 0 {
		t.Fatalf("no region %q", name)
	}
	return all[i]
}

func TestRegionsForTheTable(t *testing.T) {
	d := newDriver(t, config())
	want := []regions.Region{
		{Name: "ap", Via: regions.ViaDirect, RTT: 300 * time.Millisecond, Class: regions.Beyond, Share: 1, Cause: "not checked yet"},
		{Name: "eu", RTT: 8 * time.Millisecond, Class: regions.Fast, Share: 1, Capacity: 500, Cause: "not checked yet"},
		{Name: "us", Share: 1, Capacity: 200, Cause: "not checked yet"},
	}
	if got := d.Regions(); !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
	d.turn([]Evidence{
		{Region: "ap", RTT: 90 * time.Millisecond, Class: regions.Slow},
		{Region: "us", RTT: time.Hour, Class: regions.Beyond},
		{Region: "??", RTT: time.Second},
	})
	want[0].RTT, want[0].Class = 90*time.Millisecond, regions.Slow
	if got := d.Regions(); !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
	if _, err := regions.Build(regions.Input{Region: "us", Regions: d.Regions()}); err != nil {
		t.Error(err)
	}
}

// The table is built anew for what matters, and only for that.
func TestChanged(t *testing.T) {
	cfg := config()
	changed := 0
	cfg.Changed = func() { changed++ }
	d := newDriver(t, cfg)
	for _, step := range []struct {
		what   string
		rtt    [2]time.Duration // of eu and ap, in ms
		change bool
	}{
		{"the first measurement", [2]time.Duration{50, 60}, true},
		{"nothing new", [2]time.Duration{50, 60}, false},
		{"jitter", [2]time.Duration{52, 57}, false},
		{"more of it, in the end farther", [2]time.Duration{58, 62}, true},
		{"the nearer one is now the farther", [2]time.Duration{61, 60}, true},
		{"nothing new again", [2]time.Duration{61, 60}, false},
	} {
		before := changed
		d.turn([]Evidence{{Region: "eu", RTT: step.rtt[0] * time.Millisecond, Class: regions.Slow}, {Region: "ap", RTT: step.rtt[1] * time.Millisecond, Class: regions.Slow}})
		if (changed > before) != step.change {
			t.Errorf("%s: told %d times", step.what, changed-before)
		}
	}
	before := changed
	if err := d.Order("eu", Order{State: failover.OrderOff}); err != nil || changed == before {
		t.Errorf("an order: %v, told %d times", err, changed-before)
	}
}

func TestOrderErrors(t *testing.T) {
	d := newDriver(t, config())
	for what, tc := range map[string]struct {
		region string
		order  Order
		err    error
	}{
		"unknown region": {"sa", Order{State: failover.OrderOff}, ErrUnknownRegion},
		"negative":       {"eu", Order{State: failover.OrderOff, Over: -1}, ErrBadOrder},
		"too long":       {"eu", Order{State: failover.OrderOff, Over: MaxOver + 1}, ErrBadOrder},
		"on over a time": {"eu", Order{State: failover.OrderOn, Over: 1}, ErrBadOrder},
		"no state":       {"eu", Order{State: 9}, ErrBadOrder},
		"a forged line":  {"eu", Order{State: failover.OrderOff, By: "alice\nlevel=ERROR"}, ErrBadOrder},
		"a novel":        {"eu", Order{State: failover.OrderOff, By: strings.Repeat("a", maxBy+1)}, ErrBadOrder},
	} {
		if err := d.Order(tc.region, tc.order); !errors.Is(err, tc.err) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, region := range []string{"eu", "ap"} {
		if err := d.Order(region, Order{State: failover.OrderDraining}); err != nil {
			t.Error(err)
		}
	}
	err := d.Order("us", Order{State: failover.OrderDraining})
	if !errors.Is(err, ErrLastRegion) || !strings.Contains(err.Error(), "is ordered by operator: draining") {
		t.Errorf("the last region: %v", err)
	}
	if s := statusOf(t, d, "us"); s.State != regions.On || s.Order != nil {
		t.Errorf("%+v", s)
	}
}

func TestConfigErrors(t *testing.T) {
	for what, change := range map[string]func(*Config){
		"no gateway":       func(c *Config) { c.Gateway = "" },
		"a gateway with /": func(c *Config) { c.Gateway = "a/b" },
		"no region":        func(c *Config) { c.Region = "" },
		"no gather":        func(c *Config) { c.Gather = nil },
		"no logger":        func(c *Config) { c.Logger = nil },
		"capacity":         func(c *Config) { c.Capacity = -1 },
		"round trip":       func(c *Config) { c.Regions[0].Seed = -1 },
		"region's name":    func(c *Config) { c.Regions[0].Name = "e u" },
		"twice":            func(c *Config) { c.Regions[0].Name = "ap" },
		"bounds":           func(c *Config) { c.Bounds[0] = 1 },
		"pace":             func(c *Config) { c.Failover.Interval = 1 },
		"data directory":   func(c *Config) { c.DataDir = "/dev/null/x" },
	} {
		cfg := config()
		change(&cfg)
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: taken", what)
		}
	}
}

// A region without nodes is not judged; one that is measured but not gathered any more goes stale.
func TestNothingToJudge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config()
		cfg.Gather = func() []Evidence { return []Evidence{{Region: "eu"}, {Region: "us"}} }
		d := newDriver(t, cfg)
		defer running(d)()
		time.Sleep(time.Hour)
		for _, s := range d.Status() {
			if s.State != regions.On || s.Vantages[0].Opinion != "unknown" || len(s.History) > 0 {
				t.Errorf("%+v", s)
			}
		}
	})
}

func TestHistoryIsBounded(t *testing.T) {
	d := newDriver(t, config())
	for i := range 40 {
		state := failover.OrderState(i % 2) // on, draining, on...
		if err := d.Order("eu", Order{State: state, By: fmt.Sprint("nr", i)}); err != nil {
			t.Fatal(err)
		}
	}
	s := statusOf(t, d, "eu")
	if last := s.History[len(s.History)-1]; len(s.History) != 32 || last.Cause != "ordered by nr39: draining, done" || last.At.IsZero() {
		t.Errorf("%d changes, the last %+v", len(s.History), last)
	}
	s.History[0].Cause = "mine" // what is handed out is the caller's
	if statusOf(t, d, "eu").History[0].Cause == "mine" {
		t.Error("the history is shared")
	}
}

func TestSetRegions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDriver(t, config())
		if err := d.Order("eu", Order{State: failover.OrderOff}); err != nil {
			t.Fatal(err)
		}
		if err := d.SetRegions([]Remote{{Name: "sa"}}, 7); err != nil {
			t.Fatal(err)
		}
		if all := d.Regions(); len(all) != 2 || all[0].Name != "sa" || all[1].Capacity != 7 {
			t.Errorf("%+v", all)
		}
		// The order is remembered, for when the region is back.
		if err := d.SetRegions([]Remote{{Name: "sa"}, {Name: "eu"}}, 7); err != nil {
			t.Fatal(err)
		}
		if s := statusOf(t, d, "eu"); !s.Barred || s.Order == nil {
			t.Errorf("%+v", s)
		}
		before := d.Regions()
		for _, bad := range [][]Remote{{{Name: "us"}}, {{Name: ""}}, {{Name: "x", Capacity: -1}}, {{Name: "x"}, {Name: "x"}}} {
			if err := d.SetRegions(bad, 7); err == nil {
				t.Errorf("%+v is taken", bad)
			}
		}
		if !slices.Equal(before, d.Regions()) {
			t.Error("a refused set has changed something")
		}
	})
}

// All methods at once, with hooks that call back.
func TestConcurrentUse(t *testing.T) {
	cfg := config()
	cfg.DataDir, cfg.Failover.Interval = t.TempDir(), 10*time.Millisecond
	var d *Driver
	var turns atomic.Int64
	ready := make(chan struct{})
	cfg.Changed = func() { <-ready; d.Regions() }
	cfg.Publish = func(View) { <-ready; d.View() }
	enough := make(chan struct{})
	cfg.Gather = func() []Evidence {
		if turns.Add(1) == 50 {
			close(enough)
		}
		return []Evidence{{Region: "eu", Nodes: 1, Reachable: turns.Load()%9 < 4, Health: 1}}
	}
	d = newDriver(t, cfg)
	close(ready)
	stop := running(d)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 10 {
				_ = d.Order([]string{"eu", "ap"}[n%2], Order{State: failover.OrderState((n + i) % 3)})
				d.Receive("other", View{Region: "ap", opinions: []opinion{{Region: "eu", Failing: n%2 == 0}}})
				_ = d.SetRegions(config().Regions, i)
				d.Status()
			}
		})
	}
	wg.Wait()
	<-enough
	stop()
	again := newDriver(t, Config{Gateway: "gw", Region: "us", Regions: cfg.Regions, DataDir: cfg.DataDir, Logger: quiet(), Gather: cfg.Gather})
	for _, region := range []string{"eu", "ap"} {
		was, is := statusOf(t, d, region).Order, statusOf(t, again, region).Order
		if was == nil || is == nil || was.State != is.State || was.By != is.By {
			t.Errorf("%s: %+v in memory, %+v on disk", region, was, is)
		}
	}
}
