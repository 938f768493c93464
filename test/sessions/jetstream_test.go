package sessions_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/quorate/quorate/internal/admin"
	"github.com/quorate/quorate/internal/mcpnode"
	"github.com/quorate/quorate/internal/natsproc"
	"github.com/quorate/quorate/internal/testnet"
)

// nats starts three NATS servers on loopback.
func nats(t *testing.T) *natsproc.Cluster {
	t.Helper()
	places, err := natsproc.Loopback(loopback(t).group, 3)
	if err != nil {
		t.Fatal(err)
	}
	return natsAt(t, places)
}

// natsAt starts NATS servers that sync always, and has the strategy's program beside the gateway's.
func natsAt(t *testing.T, places []natsproc.Place) *natsproc.Cluster {
	t.Helper()
	programs, err := natsPrograms()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), formed)
	defer cancel()
	c, err := natsproc.Start(ctx, natsproc.Config{Binary: programs.Server, Dir: t.TempDir(), Places: places})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func inJetStream(c *natsproc.Cluster) string {
	return "replication: {strategy: jetstream, timeout: 3s, plugin: {settings: " + c.Settings("sessions") + "}}\n"
}

// inJetStreamAlone is the same without copies at other gateways.
func inJetStreamAlone(c *natsproc.Cluster) string {
	return "replication: {strategy: jetstream, factor: 0, timeout: 3s, plugin: {settings: " + c.Settings("sessions") + "}}\n"
}

// awayBound is when a change is refused at the latest: the timeout of the plan, and what a busy machine adds.
const awayBound = 3*time.Second + 5*time.Second

// setLevel changes a session.
func (a *agent) setLevel(ctx context.Context, level string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	return a.session.SetLoggingLevel(ctx, &sdk.SetLoggingLevelParams{Level: sdk.LoggingLevel(level)})
}

// list is what a gateway says of its sessions.
func (m *member) list() (l admin.SessionList) {
	_ = m.read("/v1/sessions", &l) // empty, then
	return l
}

// look is what a gateway says of a session.
func (m *member) look(id string) (s admin.Session) {
	_ = m.read("/v1/sessions/"+id, &s)
	return s
}

// plugin is the process of the strategy's program that a gateway has started.
func (m *member) plugin() (pid int) {
	m.w.t.Helper()
	m.w.await(healed, m.name+" has a plugin", func() bool {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", m.process.PID()))
		for _, task := range tasks {
			text, _ := os.ReadFile(task)
			for _, word := range strings.Fields(string(text)) {
				exe, _ := os.Readlink("/proc/" + word + "/exe")
				if filepath.Base(exe) == "quorate-jetstream" {
					_, err := fmt.Sscan(word, &pid)
					return err == nil
				}
			}
		}
		return false
	})
	return pid
}

// TestJetStreamSurvives kills the gateway of live sessions whose contents are in JetStream: alone, with a NATS server that
// follows, and with the one that leads.
func TestJetStreamSurvives(t *testing.T) {
	beside(t)
	c := nats(t)
	w := newWorld(t, setup{updates: time.Second, config: inJetStream(c)})
	w.nats = c
	url := w.balance(w.members[0], w.members[1], w.members[2])
	agents := w.connectAll(url, number(t, "SESSIONS", 60))
	w.copied(w.members...)
	if s := w.members[0].look(agents[0].id); s.Strategy != "store" || s.State != "synced" || s.Revision == 0 {
		t.Errorf("a session shows as %+v", s)
	}
	w.survived(agents, w.through(agents, w.members[0].kill), 1200*time.Millisecond)
	mended := func(m *member, s *natsproc.Server) {
		w.start(m)
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.writable(w.members...)
		if err := w.recovered(s.Name + " was killed"); err != nil {
			t.Fatal(err)
		}
	}
	w.start(w.members[0])
	w.writable(w.members...)
	follower := c.Servers[(w.leads()+1)%len(c.Servers)]
	w.survived(agents, w.through(agents, func() { follower.Kill(); w.members[1].kill() }), 1200*time.Millisecond)
	mended(w.members[1], follower)
	// NATS elects within some seconds, and until then nobody takes a session over; agents are told to ask again.
	began := monotonic()
	c.Servers[w.leads()].Kill()
	w.members[2].kill()
	errs := w.eachOf(len(agents), len(agents), func(i int) (err error) {
		for end := monotonic() + 2*nextCall; monotonic() < end; w.pass(100 * time.Millisecond) {
			if err = agents[i].inPlace(t.Context(), w); err == nil {
				break
			}
		}
		if err == nil && (agents[i].wire.initialized.Load() != 1 || agents[i].session.ID() != agents[i].id) {
			err = fmt.Errorf("%s initialized again", agents[i].name)
		}
		return err
	})
	for _, err := range errs[:min(len(errs), 5)] {
		t.Error(err)
	}
	t.Logf("the NATS leader and a gateway killed at once: N=%d, %d lost, all in place after %d ms", len(agents), len(errs), (monotonic() - began).Milliseconds())
}

// TestJetStreamAway takes all of NATS away, and then the plugin: settled sessions go on, changes are refused, what
// waits shows as failed, and all of it comes right without a restart.
func TestJetStreamAway(t *testing.T) {
	beside(t)
	c := nats(t)
	w := newWorld(t, setup{config: inJetStream(c)})
	m := w.members[0]
	agents := w.connectAll(m.url(), 12)
	w.copied(m)
	for i, f := range []struct {
		name       string
		hurt, heal func()
	}{
		{"all of NATS killed", func() {
			for _, s := range c.Servers {
				s.Kill()
			}
		}, func() {
			for _, s := range c.Servers {
				if err := s.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}},
		{"the plugin hangs", func() { _ = syscall.Kill(m.plugin(), syscall.SIGSTOP) }, func() {}},
		{"the plugin crashes", func() { _ = syscall.Kill(m.plugin(), syscall.SIGKILL) }, func() {}},
	} {
		level := []string{"warning", "error", "notice"}[i]
		f.hurt()
		refused := 0
		errs := w.each(len(agents), func(j int) error {
			if _, err := agents[j].call(t.Context(), nextCall, mcpnode.ToolLookup, map[string]any{"key": "k"}); err != nil {
				return fmt.Errorf("a settled session does not go on: %w", err)
			}
			return nil
		})
		began := monotonic()
		err := agents[0].setLevel(t.Context(), level)
		if took := monotonic() - began; took > awayBound {
			t.Errorf("%s: a change was answered after %s: %v", f.name, took, err)
		}
		if err != nil {
			refused++
			if !strings.Contains(err.Error(), "no node can take") && !strings.Contains(err.Error(), "session_store") {
				t.Errorf("%s: a change is refused with %v", f.name, err)
			}
		}
		if i == 0 {
			if refused == 0 {
				t.Errorf("%s: a change was not refused", f.name)
			}
			w.await(healed, "what waits has failed, and shows so", func() bool {
				l := m.list()
				return l.States["failed"] > 0 && l.LagMS > 0 && m.look(agents[0].id).State == "failed"
			})
		}
		for _, err := range errs {
			t.Errorf("%s: %v", f.name, err)
		}
		f.heal()
		w.await(healed, f.name+": changes are taken again", func() bool { return agents[1].setLevel(t.Context(), level) == nil })
		w.copied(m)
		w.await(healed, f.name+": nothing is failed any more", func() bool { return m.list().States["failed"] == 0 })
		t.Logf("%s: %d settled calls went on, %d changes refused, all in place %d ms later", f.name, len(agents), refused, (monotonic() - began).Milliseconds())
	}
	f := w.through(agents, func() {})
	if len(f.lost) > 0 || f.again > 0 {
		t.Errorf("%v", f)
	}
}

// TestJetStreamPartitioned cuts off one NATS server after the other, each with a gateway: changes at the others are taken
// once a leader is elected, and what was acknowledged is there after the heal, at another gateway.
func TestJetStreamPartitioned(t *testing.T) {
	beside(t)
	w := newWorld(t, setup{apart: true, seed: seed(t), engine: natsApart})
	agents := [][]*agent{w.connectAll(w.balance(w.members[0]), 6), w.connectAll(w.balance(w.members[1]), 6), w.connectAll(w.balance(w.members[2]), 6)}
	for i, cut := range w.natsHosts {
		w.net.Isolate(cut, func(c *testnet.Condition) { c.Cut = true })
		began := monotonic()
		for j, m := range w.members {
			w.await(healed, m.name+" takes changes without a NATS server", func() bool { return agents[j][i].setLevel(t.Context(), "error") == nil })
		}
		t.Logf("%s cut off: changes at all gateways after %d ms", cut.Name, (monotonic() - began).Milliseconds())
		w.net.Isolate(cut, func(c *testnet.Condition) { c.Cut = false })
		for j := range w.members {
			w.await(healed, "changes after the heal", func() bool { return agents[j][i].setLevel(t.Context(), "info") == nil })
		}
	}
	w.copied(w.members...)
	for _, m := range w.members {
		if l := m.list(); l.States["failed"] > 0 || l.States["pending"] > 0 {
			t.Errorf("%s: not converged: %+v", m.name, l)
		}
	}
}

// strategy has the whole fleet use another strategy, while it runs.
func (w *world) strategy(document map[string]any) {
	w.t.Helper()
	body, err := json.Marshal(document)
	if err != nil {
		w.t.Fatal(err)
	}
	w.await(healed, "the strategy is set", func() bool {
		code, said, err := w.gateways()[0].ask(http.MethodPut, "/v1/strategies/replication", body)
		if err != nil || code/100 != 2 {
			w.t.Logf("%d %.300s %v", code, said, err)
		}
		return err == nil && code/100 == 2
	})
}

// TestStrategySwitched has live sessions go from async to jetstream and back and there again, each time with changes in
// between, and kills their gateway after each.
func TestStrategySwitched(t *testing.T) {
	beside(t)
	c := nats(t)
	w := newWorld(t, setup{updates: time.Second})
	url := w.spread(w.members...)
	agents := w.connectAll(url, 30)
	var settings map[string]any
	if err := json.Unmarshal([]byte(c.Settings("switched")), &settings); err != nil {
		t.Fatal(err)
	}
	stored := map[string]any{"strategy": "jetstream", "timeout": "3s", "plugin": map[string]any{"settings": settings}}
	for i, to := range []map[string]any{stored, {"strategy": "async"}, stored} {
		w.strategy(to)
		want := map[bool]string{true: "store", false: "async"}[to["strategy"] == "jetstream"]
		for _, m := range w.members {
			w.await(healed, m.name+" keeps sessions in "+want, func() bool {
				return m.status("/ready") == 200 && m.look(agents[0].id).Strategy == want
			})
		}
		// Nothing is changed after the last switch: what the store has from before is older than what async has copied.
		errs := w.each(len(agents)*min(2-i, 1), func(j int) error { return agents[j].setLevel(t.Context(), []string{"debug", "info"}[i]) })
		for _, err := range errs {
			t.Fatal(err)
		}
		w.copied(w.members...)
		m := w.members[i]
		f := w.through(agents, m.kill)
		t.Logf("after %s: %v", want, f)
		if len(f.lost) > 0 || f.again > 0 {
			t.Fatalf("lost after %v: %v", to["strategy"], f.lost)
		}
		w.start(m)
		w.writable(w.members...)
	}
	for _, err := range w.each(len(agents), func(j int) error { return agents[j].inPlace(t.Context(), w) }) {
		t.Error(err)
	}
}

// TestJetStreamExample runs what examples/jetstream says, to its end.
func TestJetStreamExample(t *testing.T) {
	nats(t) // which builds the programs
	bin := t.TempDir()
	server := cmp.Or(os.Getenv("TEST_NATS"), filepath.Join(filepath.Dir(binary), "nats-server"))
	for name, at := range map[string]string{
		"quorate": binary, "quorate-jetstream": filepath.Join(filepath.Dir(binary), "quorate-jetstream"), "nats-server": server,
	} {
		if err := os.Link(at, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	code, said := loopback(t).run([]string{"BIN=" + bin, "ONCE=1"}, "../../examples/jetstream/run.sh", t.TempDir())
	if code != 0 || !strings.Contains(said, "answers under the same session") || !strings.Contains(said, "always, at 3 servers") {
		t.Errorf("exit code %d: %s", code, said)
	}
}
