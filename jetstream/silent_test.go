package jetstream

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/natsproc"
	"github.com/quorate/quorate/internal/testnet"
)

// TestSilentConnection cuts a store off from the server that it is connected to, without a reset: what is put at that
// moment is acknowledged by way of another one, before the round that was under way would have been given up.
func TestSilentConnection(t *testing.T) {
	n, c, hosts := apart(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	s := at(t, c, hosts[4], "")
	kept(ctx, t, s, 10, 1) // until the bucket has settled
	var worst time.Duration
	const rounds = 3
	for version := range uint64(rounds) {
		i := slices.IndexFunc(c.Servers, func(o *natsproc.Server) bool { return "nats://"+o.Client == s.conn.ConnectedUrl() })
		cut := func(off bool) { n.Change(hosts[4], hosts[i], func(c *testnet.Condition) { c.Cut = off }) }
		cut(true)
		began := time.Now()
		kept(ctx, t, s, 1, version+2)
		worst = max(worst, time.Since(began))
		cut(false)
	}
	t.Logf("N=%d connections cut off: what was put was acknowledged after %d ms at worst (bar %d ms)", rounds, worst.Milliseconds(), oneRound.Milliseconds())
	if worst > oneRound {
		t.Errorf("acknowledged %s after the cut", worst)
	}
}
