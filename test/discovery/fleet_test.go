package discovery

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/bench/failover"
	"github.com/quorate/quorate/internal/child"
	"github.com/quorate/quorate/internal/mcpnode"
	"github.com/quorate/quorate/internal/mcpnode/pool"
)

// everybody is agents of every kind.
var everybody = failover.Mix{ModernRaw: 3, LegacyRaw: 3, ModernSDK: 1, LegacySDK: 1}

// startPool runs n nodes as processes, NAME-0 and so on.
func startPool(t *testing.T, g *child.Group, name string, n int) *pool.Pool {
	t.Helper()
	cfg := pool.Config{Binary: binary, Dir: t.TempDir()}
	for i := range n {
		cfg.Nodes = append(cfg.Nodes, pool.Spec{ID: fmt.Sprintf("%s-%d", name, i), Era: "both", Updates: failover.UpdatesEvery})
	}
	p, err := pool.Start(t.Context(), g, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// work is agents at work.
type work struct {
	*failover.Load
	t     *testing.T
	ended bool
}

// crews counts the agents' crews: their names, and so those of their calls, are unique in all journals.
var crews atomic.Int64

// agents starts agents at every URL.
func agents(t *testing.T, s uint64, mix failover.Mix, urls ...string) *work {
	t.Helper()
	cfg := failover.LoadConfig{Think: 40 * time.Millisecond, Seed: s}
	for _, url := range urls {
		cfg.Sites = append(cfg.Sites, failover.Site{Name: fmt.Sprintf("crew%d", crews.Add(1)), URL: url, Agents: mix})
	}
	l, err := failover.NewLoad(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l.Start(t.Context())
	w := &work{Load: l, t: t}
	t.Cleanup(func() {
		if !w.ended {
			w.Stop()
		}
	})
	return w
}

// result stops the agents and judges what they saw by the journals of the pools.
func (w *work) result(pools ...*pool.Pool) failover.Result {
	w.t.Helper()
	w.ended = true
	w.Stop()
	var entries []mcpnode.Entry
	for _, p := range pools {
		more, err := p.Journal()
		if err != nil {
			w.t.Fatal(err)
		}
		entries = append(entries, more...)
	}
	return w.Result(entries)
}

// lossless fails the test if anything was lost that could be kept.
func lossless(t *testing.T, r failover.Result) {
	t.Helper()
	if r.SafeLost != 0 || r.SessionsLost != 0 || r.Duplicate != 0 || r.False != 0 {
		t.Errorf("lost %d safe calls and %d sessions, %d calls ran twice, %d answers are false; such as %v",
			r.SafeLost, r.SessionsLost, r.Duplicate, r.False, r.Samples)
	}
}

// figures are a result in a line.
func figures(r failover.Result) string {
	return fmt.Sprintf("%d calls, %d safe calls failed, %d sessions lost, %d ran twice, outcome unknown %d of %d once calls",
		r.Calls, r.SafeLost, r.SessionsLost, r.Duplicate, r.Unknown, r.Once)
}

// rank is the nearest-rank quantile of times.
func rank(times []time.Duration, p float64) time.Duration {
	if len(times) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(times))
	i := int(p*float64(len(sorted))+0.999999) - 1
	return sorted[min(max(i, 0), len(sorted)-1)].Round(time.Millisecond)
}
