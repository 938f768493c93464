package sessions_test

import (
	"context"
	"encoding/json"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/mcpnode"
)

const inQuorum = "replication: {strategy: quorum}\n"

// TestQuorumKilled is TestGatewayKilled with contents in the control group.
func TestQuorumKilled(t *testing.T) {
	w := newWorld(t, setup{updates: time.Second, config: inQuorum})
	url := w.balance(w.members[0], w.members[1], w.members[2])
	agents := w.connectAll(url, number(t, "SESSIONS", 40))
	w.copied(w.members[0])
	if s := w.members[0].look(agents[0].id); s.Strategy != "quorum" || s.State != "synced" {
		t.Errorf("a session shows as %+v", s)
	}
	w.survived(agents, w.through(agents, w.members[0].kill), 1200*time.Millisecond)
}

// TestQuorumSwitched has live sessions go from the control group to copies and back and there again, with changes in
// between, and kills their gateway after each.
func TestQuorumSwitched(t *testing.T) {
	beside(t)
	w := newWorld(t, setup{updates: time.Second})
	w.strategy(map[string]any{"strategy": "quorum"})
	url := w.spread(w.members...)
	agents := w.connectAll(url, number(t, "SESSIONS", 24))
	w.keptBy("quorum", agents[0])
	for i, to := range []string{"async", "quorum", "async"} {
		w.strategy(map[string]any{"strategy": to})
		w.keptBy(to, agents[0])
		// Nothing is changed after the last switch: what copies have from before is older than what the group has.
		errs := w.each(len(agents)*min(2-i, 1), func(j int) error { return agents[j].setLevel(t.Context(), []string{"debug", "info"}[i]) })
		for _, err := range errs {
			t.Fatal(err)
		}
		w.copied(w.members...)
		m := w.members[i]
		f := w.through(agents, m.kill)
		t.Logf("after %s: %v", to, f)
		if len(f.lost) > 0 || f.again > 0 {
			t.Fatalf("lost after %s: %v", to, f.lost)
		}
		w.start(m)
		w.writable(w.members...)
	}
	w.renew()
	for _, err := range w.each(len(agents), func(j int) error { return agents[j].inPlace(t.Context(), w) }) {
		t.Error(err)
	}
}

// renew ends the nodes and starts them anew, so that they hold of sessions what gateways know of them.
func (w *world) renew() {
	w.t.Helper()
	for _, n := range w.nodes {
		n.process.Kill()
		w.startNode(n)
	}
	for _, m := range w.members {
		w.await(healed, m.name+" reaches the nodes", func() bool { return m.status("/ready") != 503 })
	}
}

// keptBy waits until every gateway keeps sessions so.
func (w *world) keptBy(strategy string, a *agent) {
	w.t.Helper()
	for _, m := range w.members {
		w.await(healed, m.name+" keeps sessions by "+strategy, func() bool {
			return m.status("/ready") == 200 && m.look(a.id).Strategy == strategy
		})
	}
}

// TestQuorumSwitchedControl: where nothing is kept after the switch, a kill takes what was changed since. The rest is
// still in the group.
func TestQuorumSwitchedControl(t *testing.T) {
	w := newWorld(t, setup{updates: time.Second})
	m := w.members[0]
	w.strategy(map[string]any{"strategy": "quorum"})
	agents := w.connectAll(w.balance(m, w.members[1], w.members[2]), 12)
	w.keptBy("quorum", agents[0])
	w.strategy(map[string]any{"strategy": "async", "factor": 0})
	w.keptBy("async", agents[0])
	for _, err := range w.each(len(agents), func(j int) error { return agents[j].setLevel(t.Context(), "debug") }) {
		t.Fatal(err)
	}
	f := w.through(agents, m.kill)
	w.renew()
	var behind atomic.Int64
	for _, err := range w.each(len(agents), func(j int) error {
		said, err := agents[j].call(t.Context(), nextCall, mcpnode.ToolSettings, nil)
		if err == nil && said == "level=info subscribed="+mcpnode.UpdatesURI { // as it was before the switch
			behind.Add(1)
		}
		return err
	}) {
		t.Error(err)
	}
	t.Logf("control: %v; %d of %d sessions are as they were before the switch", f, behind.Load(), len(agents))
	if int(behind.Load()) < len(agents)*3/4 {
		t.Errorf("%d of %d sessions have lost what was changed: this test could not see a loss", behind.Load(), len(agents))
	}
}

// TestQuorumEnds: an end that is acknowledged is one everywhere, whatever becomes of the gateway; one that a minority is
// asked for is refused, and the session goes on, also where that gateway never comes back.
func TestQuorumEnds(t *testing.T) {
	beside(t)
	w := newWorld(t, setup{apart: true, seed: seed(t), config: inQuorum})
	m := w.members[0]
	var ended, kept []*raw
	open := func() *raw {
		r := w.rawFrom(m.url(), m.at, nil)
		if a := w.insist(r.begin); !a.good() {
			t.Fatalf("initialize: %s", a)
		}
		return r
	}
	for range 10 {
		ended, kept = append(ended, open()), append(kept, open())
	}
	for _, r := range ended {
		if a := w.insist(r.end); !a.good() {
			t.Fatalf("DELETE: %s", a)
		}
	}
	w.part(m, true, true)
	w.await(healed, m.name+" may not write", func() bool { return m.status("/writez") == 503 })
	for _, r := range kept {
		if a := r.end(); a.good() || a.gone() || a.code != codeNoAuthority {
			t.Errorf("DELETE in a minority: %s", a)
		}
	}
	m.kill()
	others := w.members[1:]
	w.writable(others...)
	for _, r := range kept {
		o := r.at(others[0])
		w.await(healed, "the session goes on", func() bool { return o.read().good() })
	}
	for _, r := range ended {
		for _, o := range others {
			if a := r.at(o).read(); !a.gone() {
				t.Errorf("ended, at %s: %s", o.name, a)
			}
		}
	}
	t.Logf("N=%d ends acknowledged: all 404; %d refused in a minority: all go on", len(ended), len(kept))
}

// TestReadyAfterLoss: one gateway is killed and stays away. The others are not ready, and say why, until its sessions can go
// on and copies are complete without it; balancers, who ask /readyz, never lose them.
func TestReadyAfterLoss(t *testing.T) {
	w := newWorld(t, setup{updates: time.Second})
	m, others := w.members[0], w.members[1:]
	agents := w.connectAll(w.balance(m, others...), number(t, "SESSIONS", 60))
	w.copied(w.members...)
	ctx, cancel := context.WithCancel(t.Context())
	watched := make(chan [2]int, 1)
	go func() { watched <- w.probe(ctx, others) }()
	m.kill()
	var why []string
	w.await(healed, others[0].name+" says why it is not ready", func() bool {
		why = others[0].reasons()
		return len(why) > 0
	})
	f := w.through(agents, func() {})
	for _, o := range others {
		w.await(healed, o.name+" is ready again", func() bool { return o.status("/ready") == 200 })
	}
	cancel()
	asked := <-watched
	w.survived(agents, f, 1200*time.Millisecond)
	t.Logf("not ready: %q; ready again without %s; /readyz asked %d times, %d times not ready", why, m.name, asked[0], asked[1])
	if asked[0] == 0 || asked[1] > 0 {
		t.Errorf("/readyz was asked %d times, and was not ready %d times", asked[0], asked[1])
	}
}

// probe asks gateways for /readyz until ctx ends, and counts questions and refusals.
func (w *world) probe(ctx context.Context, members []*member) (asked [2]int) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return asked
		case <-tick.C:
		}
		for _, m := range members {
			asked[0]++
			if m.status("/readyz") != 200 {
				asked[1]++
			}
		}
	}
}

// reasons are why a gateway says that it is not ready.
func (m *member) reasons() []string {
	var said struct{ Reasons []string }
	if _, b, err := m.ask(http.MethodGet, "/ready", nil); err == nil {
		_ = json.Unmarshal(b, &said) // no reasons, then
	}
	return said.Reasons
}
