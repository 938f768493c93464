package demo

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/admin"
	"github.com/quorate/quorate/internal/bench/failover"
	"github.com/quorate/quorate/internal/gatewayproc"
)

// view is what can be seen at one moment.
type view struct {
	elapsed time.Duration
	edges   map[string]edge // by region
	figures failover.Figures
	rates   map[string]map[string]float64 // answers per second, by the region of the agents and of the answer
	writes  map[string]failover.Writes    // of the last second, by the region of the agents
}

// regions are those that run, in their order.
func (v view) regions() []string {
	return slices.DeleteFunc(places(), func(region string) bool { _, ok := v.edges[region]; return !ok })
}

// edge is one region as its gateway sees the world. A gateway that does not answer is shown as it was.
type edge struct {
	nodes, healthy int                     // of its own
	sees           map[string]admin.Region // by name, its own too
	gate           string                  // admin.GateOpen, admin.GateClosed, or "" before it was read
}

func gateWord(open bool) string {
	if open {
		return admin.GateOpen
	}
	return admin.GateClosed
}

// lookTimeout bounds one look at one gateway: the picture must not stand still for it.
const lookTimeout = 500 * time.Millisecond

// lookAt reads one gateway.
func lookAt(ctx context.Context, g *gatewayproc.Gateway, before edge) edge {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	answer, err := g.Regions(ctx)
	if err != nil {
		return before
	}
	open, err := g.Writable(ctx)
	if err != nil {
		return before
	}
	e := edge{sees: make(map[string]admin.Region, len(answer.Regions)), gate: gateWord(open)}
	for _, r := range answer.Regions {
		e.sees[r.Name] = r
		if r.Local && len(r.Services) > 0 {
			e.nodes, e.healthy = r.Services[0].Nodes, r.Services[0].Healthy
		}
	}
	return e
}

// look reads every gateway at once.
func (w *world) look(ctx context.Context, before map[string]edge) map[string]edge {
	var mu sync.Mutex
	var all sync.WaitGroup
	after := make(map[string]edge, len(w.gateways))
	for region, g := range w.gateways {
		all.Go(func() {
			e := lookAt(ctx, g, before[region])
			mu.Lock()
			defer mu.Unlock()
			after[region] = e
		})
	}
	all.Wait()
	return after
}
