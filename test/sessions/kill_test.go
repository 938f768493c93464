package sessions_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"github.com/quorate/quorate/internal/mcpnode"
	kinds "github.com/quorate/quorate/test/npm/agent"
)

// nextCall bounds how long an agent waits for its next answer before it counts as lost.
const nextCall = 30 * time.Second

// figures are what agents noticed of a fault.
type figures struct {
	took           []time.Duration // from the fault to the answer of the next call, one per agent
	lost           []error         // next calls without a result
	again          int             // agents that sent initialize again
	later          int             // answers that say to ask again
	hurt           int             // calls under way that failed
	stale, refused int             // standing and new connections that were lost before an answer
	cut            int             // connections lost in an answer
}

func (f *figures) p(part float64) time.Duration {
	if len(f.took) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(f.took))
	return sorted[min(len(sorted)-1, int(part*float64(len(sorted))))]
}

func (f *figures) String() string {
	return fmt.Sprintf("N=%d next calls, %d lost, %d told to ask again, %d initialize again; p50 %d ms, p99 %d ms, worst %d ms; %d calls under way failed; %d standing and %d new connections without an answer, %d cut in a body",
		len(f.took)+len(f.lost), len(f.lost), f.later, f.again, f.p(.5).Milliseconds(), f.p(.99).Milliseconds(), f.p(1).Milliseconds(), f.hurt, f.stale, f.refused, f.cut)
}

// through has every second agent wait for the first byte of a slow answer, makes a fault, and then has every agent make
// one call. It is made again only when it went out on a connection that the fault was about to close: then it was under
// way itself. Where times are not judged, on a machine that may be too busy for any bound, it is made again too when the
// agent is told to ask again.
func (w *world) through(agents []*agent, fault func()) *figures {
	w.t.Helper()
	return w.throughBy(agents, !timed(), fault)
}

// throughBy is through with agents that ask again when they are told to, or do not.
func (w *world) throughBy(agents []*agent, again bool, fault func()) *figures {
	w.t.Helper()
	f := new(figures)
	ctx := context.WithoutCancel(w.t.Context())
	under := w.under(ctx, agents, f)
	began := monotonic()
	fault()
	var mu sync.Mutex
	var work sync.WaitGroup
	for i, a := range agents {
		work.Go(func() {
			from := began
			if !under[i]() { // an agent whose call is cut makes its next one at once
				from = monotonic()
			}
			later, err := a.next(ctx, again)
			took := monotonic() - from
			mu.Lock()
			defer mu.Unlock()
			f.later += later
			if err != nil {
				f.lost = append(f.lost, fmt.Errorf("%s after %s: %w; gateways say:\n%s", a.name, took.Round(time.Millisecond), err, w.story(a.id)))
				return
			}
			f.took = append(f.took, took)
		})
	}
	work.Wait()
	for _, a := range agents {
		if a.wire.initialized.Load() != 1 || a.session.ID() != a.id {
			f.again++
		}
		f.stale += int(a.wire.stale.Load())
		f.refused += int(a.wire.refused.Load())
		f.cut += int(a.wire.cut.Load())
	}
	return f
}

// next makes a call, and makes it again when it is told to, if asks says so.
func (a *agent) next(ctx context.Context, asks bool) (later int, err error) {
	ctx, cancel := context.WithTimeout(ctx, nextCall)
	defer cancel()
	for again := false; ; {
		stale := a.wire.stale.Load()
		_, err = a.call(ctx, nextCall, mcpnode.ToolLookup, map[string]any{"key": "k"})
		if je := (*jsonrpc.Error)(nil); errors.As(err, &je) && retriable(int(je.Code)) {
			if later++; !asks {
				return later, err
			}
			continue
		}
		if err == nil || again || a.wire.stale.Load() == stale {
			return later, err
		}
		again = true
	}
}

// under begins a slow call of every second agent and returns when the nodes execute them. What it returns waits for
// an agent's call, and reports whether the fault cut it or the agent was idle.
func (w *world) under(ctx context.Context, agents []*agent, f *figures) (wait []func() (hit bool)) {
	w.t.Helper()
	var mu sync.Mutex
	begun, prefix := 0, fmt.Sprintf("under %d ", monotonic())
	for i, a := range agents {
		wait = append(wait, func() bool { return true })
		if i%2 == 0 {
			continue
		}
		begun++
		ended := make(chan bool, 1)
		wait[i] = func() bool { return <-ended }
		go func() {
			// Named calls are in the journal, so that it is known when they run.
			_, err := a.call(ctx, nextCall, mcpnode.ToolSlow, map[string]any{"call": prefix + a.name, "work_ms": 3000})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				f.hurt++
			}
			ended <- err != nil
		}()
	}
	w.await(20*time.Second, "slow calls are under way", func() bool { return w.started(prefix) >= begun })
	return wait
}

// started counts calls in the journals whose names begin so.
func (w *world) started(prefix string) (n int) {
	w.t.Helper()
	for _, e := range w.journal() {
		if e.Phase == mcpnode.PhaseStart && len(e.Call) >= len(prefix) && e.Call[:len(prefix)] == prefix {
			n++
		}
	}
	return n
}

// journal is what all nodes executed, in the order of time.
func (w *world) journal() (all []mcpnode.Entry) {
	w.t.Helper()
	for _, n := range w.nodes {
		entries, err := mcpnode.ReadJournal(n.journal)
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, entries...)
	}
	slices.SortStableFunc(all, func(a, b mcpnode.Entry) int { return int(a.Mono - b.Mono) })
	return all
}

// survived fails the test unless every agent got its next answer under its own session, with all that it had set.
func (w *world) survived(agents []*agent, f *figures, bar time.Duration) {
	w.t.Helper()
	w.t.Log(f)
	for _, err := range f.lost[:min(len(f.lost), 5)] {
		w.t.Error(err)
	}
	if len(f.lost) > 0 || f.again > 0 {
		w.t.Errorf("%d agents lost their sessions or next calls, %d initialized again", len(f.lost), f.again)
	}
	judge(w.t, "next answer after the fault, p99", f.p(.99), bar)
	if w.t.Failed() {
		return
	}
	errs := w.eachOf(len(agents), len(agents), func(i int) error { return agents[i].inPlace(w.t.Context(), w) })
	for _, err := range errs[:min(len(errs), 5)] {
		w.t.Error(err)
	}
	if len(errs) > 0 {
		w.t.Errorf("%d of %d sessions are not in place", len(errs), len(agents))
	}
}

// TestGatewayKilled kills the gateway of live sessions, half of them idle and half awaiting the first byte of an answer,
// all behind one address: everyone's next call is answered under its session. Without copies they are lost.
func TestGatewayKilled(t *testing.T) {
	w := newWorld(t, setup{updates: time.Second})
	url := w.balance(w.members[0], w.members[1], w.members[2])
	agents := w.connectAll(url, number(t, "SESSIONS", 200))
	w.copied(w.members[0])
	w.survived(agents, w.through(agents, w.members[0].kill), 1200*time.Millisecond)
}

// TestGatewayKilledControl is the same without copies.
func TestGatewayKilledControl(t *testing.T) {
	w := newWorld(t, setup{updates: time.Second, config: "replication: {factor: 0}\n"})
	url := w.balance(w.members[0], w.members[1], w.members[2])
	agents := w.connectAll(url, 20)
	f := w.through(agents, w.members[0].kill)
	t.Log(f)
	if len(f.lost) < len(agents)*3/4 { // HAProxy has a few of them elsewhere
		t.Errorf("%d of %d agents lost their sessions without copies: this test could not see a loss", len(f.lost), len(agents))
	}
}

// TestGatewaysKilledInTurn kills one gateway after the other, with agents spread over all of them.
func TestGatewaysKilledInTurn(t *testing.T) {
	w := newWorld(t, setup{updates: time.Second})
	url := w.spread(w.members...)
	agents := w.connectAll(url, number(t, "SESSIONS", 60))
	for _, m := range w.members {
		w.copied(w.members...)
		f := w.through(agents, m.kill)
		w.survived(agents, f, 1200*time.Millisecond)
		w.start(m)
		w.writable(w.members...)
	}
}

// foreign is a client of somebody else's making.
type foreign struct {
	kinds.Agent
	kind, session string
}

// goesOn makes the next call and waits for what the subscription delivers. A client of the modern era has no session, and
// its subscription is a stream that it has to open again itself.
func (c foreign) goesOn(ctx context.Context) (took time.Duration, err error) {
	began := monotonic() // 100 ms after the kill
	_, err = c.Call(ctx, mcpnode.ToolLookup, map[string]any{"key": "k"})
	took = monotonic() - began
	if err == nil && c.session != "" {
		err = delivers(ctx, c)
	}
	id, problem := c.Session(ctx)
	if err == nil && (problem != nil || id != c.session) {
		err = fmt.Errorf("its session is %q and was %q: %w", id, c.session, problem)
	}
	return took, err
}

// TestForeignClients does it with other people's clients.
func TestForeignClients(t *testing.T) {
	kinds.Packages(t) // says so before anything is started when there is no Node
	w := newWorld(t, setup{updates: 200 * time.Millisecond})
	url := w.balance(w.members[0], w.members[1], w.members[2])
	var all []foreign
	for _, k := range []kinds.Kind{kinds.TypeScriptV1, kinds.TypeScriptV2, kinds.TypeScriptV2Auto, kinds.GoSDKLegacy} {
		c := foreign{Agent: k.Dial(t, url), kind: k.Name}
		if err := c.Subscribe(t.Context(), mcpnode.UpdatesURI); err != nil {
			t.Fatalf("%s: %v", k.Name, err)
		}
		var err error
		if c.session, err = c.Session(t.Context()); err != nil || (c.session == "") != (c.Version() >= "2026-07-28") {
			t.Fatalf("%s: session %q, %v", k.Name, c.session, err)
		}
		all = append(all, c)
	}
	for _, m := range w.members {
		w.copied(w.members...)
		m.kill()
		w.pass(100 * time.Millisecond) // a call in that moment may go out on a connection that is about to be closed
		var work sync.WaitGroup
		for _, c := range all {
			work.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), nextCall)
				defer cancel()
				took, err := c.goesOn(ctx)
				t.Logf("%s killed: %-18s next answer after %4d ms", m.name, c.kind, took.Milliseconds())
				if err != nil {
					t.Errorf("%s killed: %s: %v", m.name, c.kind, err)
				}
			})
		}
		work.Wait()
		w.start(m)
		w.writable(w.members...)
	}
}

// delivers waits for updates that are not the gateway's own word of a move.
func delivers(ctx context.Context, c foreign) error {
	for len(c.Updates()) > 0 {
		<-c.Updates()
	}
	for i := range 4 {
		select {
		case <-c.Updates():
		case <-ctx.Done():
			return fmt.Errorf("the subscription delivered %d updates: %w", i, ctx.Err())
		}
	}
	return nil
}

// copied waits until these gateways have no change that their copies have not confirmed.
func (w *world) copied(members ...*member) {
	w.t.Helper()
	for _, m := range members {
		w.await(healed, "copies of "+m.name+" are complete", func() bool {
			lag, ok := m.metric("quorate_session_replication_lag_ms")
			return ok && lag == 0 && m.status("/ready") == 200
		})
	}
}
