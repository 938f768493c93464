package demo

import (
	"context"
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
}

// edge is one region as its gateway sees the world. A gateway that does not answer is shown as it was.
type edge struct {
	nodes, healthy int                     // of its own
	sees           map[string]admin.Region // by name, its own too
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
	e := edge{sees: make(map[string]admin.Region, len(answer.Regions))}
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

// pace keeps the counts of the last moments, from which the rates are made.
type pace struct{ marks []mark }

type mark struct {
	at      time.Duration
	answers map[string]map[string]int64
}

// paceOver is the time that a rate is an average over.
const paceOver = time.Second

// rates adds the counts of now and returns the answers per second.
func (p *pace) rates(at time.Duration, answers map[string]map[string]int64) map[string]map[string]float64 {
	p.marks = append(p.marks, mark{at, answers})
	for len(p.marks) > 2 && at-p.marks[1].at >= paceOver {
		p.marks = p.marks[1:]
	}
	first := p.marks[0]
	took := (at - first.at).Seconds()
	rates := make(map[string]map[string]float64, len(answers))
	for site, by := range answers {
		rates[site] = make(map[string]float64, len(by))
		for region, n := range by {
			if took > 0 && n > first.answers[site][region] {
				rates[site][region] = float64(n-first.answers[site][region]) / took
			}
		}
	}
	return rates
}
