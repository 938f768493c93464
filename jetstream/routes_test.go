package jetstream

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/natsproc"
	"github.com/quorate/quorate/internal/testnet"
)

// TestClusterHasAllRoutes starts servers of which two cannot reach each other: JetStream is healthy at both, but no test
// is given such a cluster, in which a store that is connected to the one has no answer from a leader that is the other.
func TestClusterHasAllRoutes(t *testing.T) {
	n, cfg, hosts := apartYet(t)
	cut := func(off bool) { n.Change(hosts[2], hosts[3], func(c *testnet.Condition) { c.Cut = off }) }
	cut(true)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, err := natsproc.Start(ctx, cfg)
	if err == nil || !strings.Contains(err.Error(), "0 of 3 routes") {
		t.Fatalf("two servers cannot reach each other, and the cluster is there: %v", err)
	}
	cut(false)
	ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := c.Await(ctx); err != nil {
		t.Fatal(err)
	}
	t.Logf("with two servers cut off from each other: %v", err)
}
