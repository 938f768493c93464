package peers_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/quorate/quorate/test/npm/agent"
)

const (
	// callBound is how long a safe call may take when its node has just been killed.
	callBound = 5 * time.Second
	// updateBound is how long the updates may take: server-everything sends them 5 s apart.
	updateBound = 20 * time.Second
	// kills per agent: the session has to survive more than one.
	kills = 2
)

func environment(text, name string) string {
	var env map[string]string
	if err := json.Unmarshal([]byte(text), &env); err != nil {
		return ""
	}
	return env[name]
}

// TestSurviveOnGoNodes kills the go-sdk node that the agent's last call was on.
func TestSurviveOnGoNodes(t *testing.T) {
	for _, tt := range []struct {
		client  agent.Kind
		version string
	}{
		{agent.GoSDK, "2026-07-28"},
		{agent.GoSDKLegacy, "2025-11-25"},
		{agent.TypeScriptV1, "2025-11-25"},
		{agent.TypeScriptV2, "2025-11-25"},
		{agent.TypeScriptV2Auto, "2026-07-28"},
	} {
		t.Run(tt.client.Name, func(t *testing.T) { survive(t, goNodes(t), tt.client, tt.version) })
	}
}

// TestSurviveOnServerEverything does the same with the TypeScript SDK's reference server, which has
// only legacy sessions and another answer to unknown ones.
func TestSurviveOnServerEverything(t *testing.T) {
	for _, c := range []agent.Kind{agent.GoSDK, agent.TypeScriptV1, agent.TypeScriptV2, agent.TypeScriptV2Auto} {
		t.Run(c.Name, func(t *testing.T) {
			w := everythingNodes(t) // one world after another: eight Node processes that start at once starve each other
			t.Parallel()            // mostly waiting for updates
			survive(t, w, c, "2025-11-25")
		})
	}
}

// survive kills the agent's node again and again. After each kill the next safe call is answered, by
// another node, and the subscription still delivers.
func survive(t *testing.T, w *world, c agent.Kind, version string) {
	a := c.Dial(t, w.url)
	if a.Version() != version {
		t.Fatalf("the agent speaks %s, want %s", a.Version(), version)
	}
	if err := a.Subscribe(t.Context(), w.uri); err != nil {
		t.Fatalf("subscribe: %v", err)
	}
	w.awaitUpdates(t, a)
	for range kills {
		before := w.ask(t, a)
		w.nodes[before].Kill()
		start := time.Now()
		after := w.ask(t, a)
		t.Logf("killed %s, answered by %s after %s", before, after, time.Since(start).Round(time.Millisecond))
		if after == before {
			t.Fatalf("node %s was killed and answers", before)
		}
		w.awaitUpdates(t, a)
		if err := w.nodes[before].Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.awaitHealthy(t)
	}
	if err := w.gateway.Stop(); err != nil {
		t.Errorf("the gateway ended badly: %v", err)
	}
}

// ask makes a safe call and returns the name of the node that answered it.
func (w *world) ask(t *testing.T, a agent.Agent) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), callBound)
	defer cancel()
	text, err := a.Call(ctx, w.where, w.whereArg)
	if err != nil {
		t.Fatalf("safe call: %v", err)
	}
	name := w.nameIn(text)
	if w.nodes[name] == nil {
		t.Fatalf("no node's name in %.200q", text)
	}
	return name
}

// awaitUpdates forgets the updates that came before, has the resource changed and waits for the next.
func (w *world) awaitUpdates(t *testing.T, a agent.Agent) {
	t.Helper()
	for len(a.Updates()) > 0 {
		<-a.Updates()
	}
	ctx, cancel := context.WithTimeout(t.Context(), updateBound)
	defer cancel()
	if w.touch != "" {
		if _, err := a.Call(ctx, w.touch, nil); err != nil {
			t.Fatalf("%s: %v", w.touch, err)
		}
	}
	for i := range w.updates {
		select {
		case uri := <-a.Updates():
			if uri != w.uri {
				t.Fatalf("update of %s, subscribed to %s", uri, w.uri)
			}
		case <-ctx.Done():
			t.Fatalf("the subscription delivered %d of %d updates", i, w.updates)
		}
	}
}

func (w *world) awaitHealthy(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := w.gateway.AwaitHealthy(ctx); err != nil {
		t.Fatal(err)
	}
}
