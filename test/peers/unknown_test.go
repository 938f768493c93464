package peers_test

import (
	"context"
	"errors"
	"testing"
	"time"

	wire "github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/internal/mcpnode/pool"
	"github.com/quorate/quorate/test/npm/agent"
)

// TestCutCalls: what a real gateway says of a call that must not run twice and whose node was killed
// under it, and of a call when no node is left, reaches every client's program; the agent goes on.
func TestCutCalls(t *testing.T) {
	for _, c := range []agent.Kind{agent.GoSDK, agent.GoSDKLegacy, agent.TypeScriptV1, agent.TypeScriptV2, agent.TypeScriptV2Auto} {
		t.Run(c.Name, func(t *testing.T) {
			w := goNodes(t)
			a := c.Dial(t, w.url)
			cut := make(chan error, 1)
			go func() {
				_, err := a.Call(t.Context(), "charge", map[string]any{"call": "cut", "work_ms": 60_000})
				cut <- err
			}()
			name := w.busy(t)
			w.nodes[name].Kill()
			if got := code(t, cut); got != wire.CodeOutcomeUnknown {
				t.Errorf("cut call: code %d, want %d", got, wire.CodeOutcomeUnknown)
			}
			w.ask(t, a)
			for other, n := range w.nodes {
				if other != name {
					n.Kill()
				}
			}
			go func() {
				_, err := a.Call(t.Context(), w.where, w.whereArg)
				cut <- err
			}()
			if got := code(t, cut); got != wire.CodeNothingFits {
				t.Errorf("no node left: code %d, want %d", got, wire.CodeNothingFits)
			}
			for _, n := range w.nodes {
				if err := n.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			w.awaitHealthy(t)
			w.ask(t, a)
		})
	}
}

// busy waits until a node executes a call and returns the node's name.
func (w *world) busy(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), callBound)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		for name, n := range w.nodes {
			if n.(*pool.Node).InFlight() > 0 {
				return name
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("no node executes the call")
		}
	}
}

// code waits for a call's error and returns its code.
func code(t *testing.T, ended <-chan error) int {
	t.Helper()
	select {
	case err := <-ended:
		var f *agent.Failure
		if !errors.As(err, &f) {
			t.Fatalf("the call ended with %v", err)
		}
		t.Log(f)
		return f.Code
	case <-time.After(callBound):
		t.Fatal("the call does not end")
		return 0
	}
}
