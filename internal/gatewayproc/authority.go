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
	return g.await(ctx, "the write gate is not open", g.Writable)
}

// AwaitKept waits until sessions that are opened now outlive the gateway, or ctx ends.
func (g *Gateway) AwaitKept(ctx context.Context) error {
	return g.await(ctx, "sessions are not kept", func(ctx context.Context) (bool, error) {
		var all admin.SessionList
		err := g.read(ctx, "/v1/sessions", &all)
		return all.Kept, err
	})
}

// await asks until what is waited for has come. why says that it has not.
func (g *Gateway) await(ctx context.Context, why string, ask func(context.Context) (bool, error)) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		come, err := ask(ctx)
		if come {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("gatewayproc: %s: %w", why, errors.Join(context.Cause(ctx), err))
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
