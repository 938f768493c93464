package jetstream

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/testnet"
	"github.com/quorate/quorate/strategies"
)

// TestNearestServer has gateways connect where one server is beside them and the others are far away.
func TestNearestServer(t *testing.T) {
	_, c, hosts := apart(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	urls := c.URLs()
	beside := urls[3]
	for probe := (&Store{from: distant{ctx, hosts[4]}}); slices.ContainsFunc(urls, func(u string) bool { return probe.distance(ctx, u) == tooFar }); {
		if wait(ctx, 10*time.Millisecond); ctx.Err() != nil {
			t.Fatal("not all servers listen")
		}
	}
	for range 8 {
		s := near(t, hosts[4], urls)
		for !s.conn.IsConnected() {
			if wait(ctx, 10*time.Millisecond); ctx.Err() != nil {
				t.Fatal("not connected")
			}
		}
		if at := s.conn.ConnectedUrl(); at != beside {
			t.Errorf("connected to %s, not to %s", at, beside)
		}
	}
}

// near is a store whose gateway is on a host and may connect to any of some servers.
func near(t *testing.T, h *testnet.Host, urls []string) *Store {
	t.Helper()
	s := &Store{Log: slog.New(slog.DiscardHandler), from: distant{t.Context(), h}}
	told := strategies.Settings{Gateway: "gw-1", Region: "away", JSON: fmt.Sprintf(`{"urls": [%q, %q, %q, %q]}`, urls[0], urls[1], urls[2], urls[3])}
	if err := s.Configure(t.Context(), told); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// TestNearestFirst: what cannot be reached is no obstacle, and comes last.
func TestNearestFirst(t *testing.T) {
	c := cluster(t)
	gone := "nats://127.0.0.1:1"
	seen := map[string]bool{}
	for range 60 {
		sorted := new(Store).nearest(append([]string{gone}, c.URLs()...))
		if len(sorted) != 4 || sorted[3] != gone {
			t.Fatalf("%v", sorted)
		}
		seen[sorted[0]] = true
	}
	if len(seen) != 3 {
		t.Errorf("of three servers that are as far away %d came first", len(seen))
	}
}
