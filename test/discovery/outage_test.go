package discovery

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// guard watches that no node is lost while Consul is away: every one stays in the table. On a busy machine a check can
// be late, whatever Consul does, so that all are healthy at every moment is judged where times are.
type guard struct {
	f     *federation
	stop  func()
	mu    sync.Mutex
	looks int
	least map[string]int // the fewest nodes seen, by service
	well  map[string]int // the fewest healthy ones
}

// guarded looks ten times a second until stop.
func guarded(f *federation) *guard {
	g := &guard{f: f, least: map[string]int{"tools": 1 << 20, "far": 1 << 20}, well: map[string]int{"tools": 1 << 20, "far": 1 << 20}}
	ctx, cancel := context.WithCancel(context.WithoutCancel(f.t.Context()))
	var work sync.WaitGroup
	work.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				g.look()
			case <-ctx.Done():
				return
			}
		}
	})
	g.stop = sync.OnceFunc(func() { cancel(); work.Wait() })
	f.t.Cleanup(g.stop)
	return g
}

func (g *guard) look() {
	all, healthy := map[string]int{}, map[string]int{}
	services := g.f.gateway.status().Services
	if len(services) == 0 {
		return // no answer says nothing
	}
	for _, s := range services {
		all[s.Name] = len(s.Nodes)
		for _, n := range s.Nodes {
			if n.State == "healthy" {
				healthy[s.Name]++
			}
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.looks++
	for name := range g.least {
		g.least[name], g.well[name] = min(g.least[name], all[name]), min(g.well[name], healthy[name])
	}
}

// Sources of the federation's services.
const (
	eastSource = "consul:us-east/mcp-tools"
	westSource = "consul:eu-west/mcp-tools"
)

// stale waits until a source of tools is stale, or fresh, and the metric says so.
func (f *federation) stale(source string, want float64) time.Duration {
	f.t.Helper()
	return await(f.t, fmt.Sprintf("stale of %s is %g", source, want), func() bool { return f.gateway.stale("tools", source) == want })
}

// serving waits until every node of both datacenters has answered once more.
func (f *federation) serving(what string) {
	f.t.Helper()
	before := f.gateway.samples("quorate_attempts_total")
	for _, s := range f.sites() {
		for _, n := range s.pool.Nodes() {
			node := label("node", s.id(n.ID))
			service := label("service", s.service)
			await(f.t, what+": "+n.ID+" serves", func() bool {
				return sum(f.gateway.samples("quorate_attempts_total"), service, node, label("result", "ok")) > sum(before, service, node, label("result", "ok"))
			})
		}
	}
}

// again registers every node of a site that has forgotten them, one after the other.
func (f *federation) again(s *site) {
	f.t.Helper()
	for _, n := range s.pool.Nodes() {
		s.register(n.ID, n.Address())
	}
}

// Consul is stopped, killed, started again with an empty catalog, and partitioned: no node is lost, no call fails,
// and the sources say that they are stale as long as they are.
func TestConsulOutages(t *testing.T) {
	s := seed(t)
	f := federated(t, 3, 3, "")
	load := f.agents(s, everybody)
	g := guarded(f)
	hold := 2 * time.Second // longer than nodes take to be found dead
	if timed() {
		hold = 20 * time.Second
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	episode := func(what string, sources []string, begin, end func()) {
		t.Helper()
		before := load.Figures()
		for _, source := range []string{eastSource, westSource} {
			f.stale(source, 0)
		}
		began := time.Now()
		begin()
		var raised, cleared []time.Duration
		for _, source := range sources {
			f.stale(source, 1)
			raised = append(raised, time.Since(began).Round(10*time.Millisecond))
		}
		pause(t, hold)
		f.serving(what)
		for _, source := range []string{eastSource, westSource} {
			if is, want := f.gateway.stale("tools", source) == 1, slices.Contains(sources, source); is != want {
				t.Errorf("%s: %s is stale: %v", what, source, is)
			}
		}
		end()
		began = time.Now()
		for _, source := range sources {
			f.stale(source, 0)
			cleared = append(cleared, time.Since(began).Round(10*time.Millisecond))
		}
		f.serving(what + " is over")
		now := load.Figures()
		t.Logf("%-50s stale of %v raised after %v, cleared after %v; %d calls, %d safe calls failed", what+":",
			sources, raised, cleared, now.Calls-before.Calls, now.SafeLost-before.SafeLost)
	}
	both := []string{eastSource, westSource}
	episode("the gateway's agent is stopped (SIGSTOP)", both, func() { must(f.east.Pause()) }, func() { must(f.east.Resume()) })
	episode("the gateway's agent is killed, comes back empty", both, f.east.Kill, func() {
		f.east.restart()
		meet(f.east.catalog, f.west.catalog)
		f.again(f.east)
	})
	episode("the other datacenter is partitioned (SIGSTOP)", both[1:], func() { must(f.west.Pause()) }, func() { must(f.west.Resume()) })
	episode("the other datacenter is killed, comes back empty", both[1:], f.west.Kill, func() {
		f.west.restart()
		meet(f.east.catalog, f.west.catalog)
		f.again(f.west)
	})
	episode("both come back empty and stay so for a while", both, func() {
		f.east.restart()
		f.west.restart()
		meet(f.east.catalog, f.west.catalog)
	}, func() { f.again(f.east); f.again(f.west) })
	g.stop()
	res := load.result(f.east.pool, f.west.pool)
	t.Logf("%s; fewest nodes in N=%d looks: tools %d of 6 (healthy %d), far %d of 3 (healthy %d)", figures(res), g.looks, g.least["tools"], g.well["tools"], g.least["far"], g.well["far"])
	lossless(t, res)
	if g.looks < 20 || g.least["tools"] != 6 || g.least["far"] != 3 {
		t.Errorf("capacity was lost: %d looks, %v", g.looks, g.least)
	}
	if timed() && (g.well["tools"] != 6 || g.well["far"] != 3) {
		t.Errorf("fewest healthy nodes: %v", g.well)
	}
}

// The control: what is deregistered one after the other goes, down to the last one, which an empty answer leaves.
func TestConsulOutagesControl(t *testing.T) {
	f := federated(t, 3, 3, "")
	g := guarded(f)
	nodes := f.west.pool.Nodes()
	for i, n := range nodes {
		f.west.deregister(n.ID)
		if left := len(nodes) - 1 - i; left > 0 {
			// Both services: one that reads two deregistrations in one answer sees an empty catalog, and keeps both.
			await(t, n.ID+" is gone", func() bool {
				return len(f.gateway.nodes("far", "")) == left && len(f.gateway.nodes("tools", "")) == 3+left
			})
		}
	}
	f.stale(westSource, 1)
	last := f.west.id(nodes[len(nodes)-1].ID)
	if all := f.gateway.nodes("far", "healthy"); !slices.Equal(all, []string{last}) {
		t.Errorf("nodes %v, want the last one, %s", all, last)
	}
	pause(t, 300*time.Millisecond)
	g.stop()
	t.Logf("control, all three deregistered one after the other: fewest nodes in N=%d looks: tools %d of 6, far %d of 3; the last stays, stale: %s",
		g.looks, g.least["tools"], g.least["far"], f.gateway.source("far", westSource).Cause)
	if g.least["tools"] != 4 || g.least["far"] != 1 {
		t.Errorf("fewest %v: this test could not see lost capacity", g.least)
	}
	if cause := f.gateway.source("far", westSource).Cause; !strings.Contains(cause, "no instance") {
		t.Errorf("stale because of %q", cause)
	}
}
