package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

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
	nodes, healthy int
	sees           map[string]regionStatus // by region, its own too
}

// regionStatus is what is read of one region in the answer of /v1/regions.
type regionStatus struct {
	Name  string  `json:"name"`
	State string  `json:"state"`
	Class string  `json:"class"`
	RTT   float64 `json:"rtt_ms"`
	Share float64 `json:"share"`
	Cause string  `json:"cause"`
}

// lookTimeout bounds one look at one gateway: the picture must not stand still for it.
const lookTimeout = 500 * time.Millisecond

// lookAt reads one gateway.
func lookAt(ctx context.Context, g *gatewayproc.Gateway, region string, before edge) edge {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	after := before
	if status, err := g.Status(ctx); err == nil {
		after.nodes, after.healthy = 0, 0
		for _, n := range status.Services[0].Nodes {
			if n.Region != region {
				continue
			}
			after.nodes++
			if n.State == "healthy" {
				after.healthy++
			}
		}
	}
	if sees, err := regionsOf(ctx, g); err == nil {
		after.sees = sees
	}
	return after
}

func regionsOf(ctx context.Context, g *gatewayproc.Gateway) (map[string]regionStatus, error) {
	body, err := g.Admin(ctx, "/v1/regions")
	if err != nil {
		return nil, err
	}
	var answer struct {
		Regions []regionStatus `json:"regions"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("demo: /v1/regions: %w", err)
	}
	sees := make(map[string]regionStatus, len(answer.Regions))
	for _, r := range answer.Regions {
		sees[r.Name] = r
	}
	return sees, nil
}

// look reads every gateway at once.
func (w *world) look(ctx context.Context, before map[string]edge) map[string]edge {
	var mu sync.Mutex
	var all sync.WaitGroup
	after := make(map[string]edge, len(w.gateways))
	for region, g := range w.gateways {
		all.Go(func() {
			e := lookAt(ctx, g, region, before[region])
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
