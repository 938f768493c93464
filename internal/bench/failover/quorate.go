package failover

import (
	"context"
	"fmt"
	"io"

	"github.com/quorate/quorate/internal/child"
	"github.com/quorate/quorate/internal/gatewayproc"
	"github.com/quorate/quorate/internal/mcpnode/pool"
)

// Quorate is a gateway as a real child process: "quorate serve" with a generated configuration.
type Quorate struct {
	Binary   string // the quorate binary
	Attempts int    // attempts per request; 0 means the default, 1 turns retries off
	gateway  *gatewayproc.Gateway
	nodes    int
}

// service keeps the defaults but for what hundreds of restarts in a few minutes cannot wait for: a
// check each 400 ms instead of 5 s, one good check instead of two, and no slow start, so that the next
// fault finds all nodes in use. HAProxy gets the same or better; see haproxyConfig.
const service = `    checks: {interval: 400ms, failures: 3, successes: 1}
    balance: {slow_start: 0s}
`

// Name implements Front.
func (q *Quorate) Name() string {
	if q.Attempts == 1 {
		return "quorate-without-retries"
	}
	return "quorate"
}

// URL implements Front.
func (q *Quorate) URL() string { return q.gateway.URL() }

// Start implements Front.
func (q *Quorate) Start(ctx context.Context, group *child.Group, dir string, nodes []*pool.Node, log io.Writer) error {
	cfg := gatewayproc.Config{Binary: q.Binary, Dir: dir, Service: service, Gateway: "shutdown: {drain: 5s}\n", Log: log}
	if q.Attempts > 0 {
		cfg.Service += fmt.Sprintf("    retry: {attempts: %d}\n", q.Attempts)
	}
	for _, n := range nodes {
		cfg.Nodes = append(cfg.Nodes, gatewayproc.Node{ID: n.ID, URL: n.URL()})
	}
	q.nodes = len(nodes)
	var err error
	q.gateway, err = gatewayproc.Start(ctx, group, cfg)
	return err
}

// Healthy implements Front by /v1/status.
func (q *Quorate) Healthy(ctx context.Context) (bool, error) {
	status, err := q.gateway.Status(ctx)
	if err != nil {
		return false, err
	}
	healthy := 0
	for _, s := range status.Services {
		for _, n := range s.Nodes {
			if n.State == "healthy" && n.Breaker == "closed" {
				healthy++
			}
		}
	}
	return healthy == q.nodes, nil
}

// Counters implements Front by /metrics.
func (q *Quorate) Counters(ctx context.Context) (Counters, error) {
	retried, err := q.sum(ctx, "quorate_retries_total")
	if err != nil {
		return Counters{}, err
	}
	migrated, err := q.sum(ctx, "quorate_sessions_migrated_total")
	return Counters{Retried: retried, Migrated: migrated}, err
}

func (q *Quorate) sum(ctx context.Context, metric string) (int64, error) {
	samples, err := q.gateway.Metrics(ctx, metric)
	total := 0.0
	for _, s := range samples {
		total += s.Value
	}
	return int64(total), err
}

// Stop implements Front: a gateway that does not stop in order within its bound is an error.
func (q *Quorate) Stop() error {
	if err := q.gateway.Stop(); err != nil {
		return fmt.Errorf("failover: quorate: stop: %w", err)
	}
	return nil
}
