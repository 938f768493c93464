package gatewayproc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/quorate/quorate/internal/admin"
	"github.com/quorate/quorate/internal/child"
)

// Writable reads /writez: whether the gateway's write gate is open.
func (g *Gateway) Writable(ctx context.Context) (bool, error) {
	status, body, err := g.ask(ctx, "/writez")
	if err != nil {
		return false, err
	}
	var said struct{ Gate string }
	if err := json.Unmarshal(body, &said); err != nil {
		return false, fmt.Errorf("gatewayproc: /writez: %w", err)
	}
	if open := status == http.StatusOK; open == (said.Gate == admin.GateOpen) {
		return open, nil
	}
	return false, fmt.Errorf("gatewayproc: /writez: %d says %.200s", status, body)
}

// AwaitWritable waits until the gateway's write gate is open, or ctx ends.
func (g *Gateway) AwaitWritable(ctx context.Context) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		open, err := g.Writable(ctx)
		if open {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("gatewayproc: the write gate is not open: %w", errors.Join(context.Cause(ctx), err))
		case <-g.process.Done():
			return fmt.Errorf("gatewayproc: the gateway ended: %w", errors.Join(child.ErrEnded, g.process.Err()))
		case <-tick.C:
		}
	}
}

// Cluster reads /v1/cluster. A gateway that others do not answer takes a second for it.
func (g *Gateway) Cluster(ctx context.Context) (c admin.Cluster, err error) {
	err = g.read(ctx, "/v1/cluster", &c)
	return c, err
}
