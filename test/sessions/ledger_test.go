package sessions_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/mcpagent"
	"github.com/quorate/quorate/internal/mcpnode"
)

// keyed is one call with a key, until its agent knows what became of it.
type keyed struct {
	name    string // of the call, in the journals
	legacy  bool
	ended   string // done, unknown or lost
	text    string // of the outcome
	asked   int    // how often
	during  bool   // it was under way when something was killed
	mu      sync.Mutex
	flying  bool
	outcome *answer
}

// keyedWork is how long a keyed call takes, in milliseconds.
const keyedWork = 100

// keyedLoad is agents that make keyed calls and make them again, under new JSON-RPC ids and at any gateway, until they know.
type keyedLoad struct {
	w      *world
	at     []*member
	faults int // that it goes through

	mu    sync.Mutex
	calls []*keyed
}

// keyedAgents are at work at once.
const keyedAgents = 16

// ask makes a keyed call at one gateway. caller is its credentials.
func (w *world) ask(ctx context.Context, m *member, session *raw, caller, key, name string, work int) *answer {
	arguments := fmt.Sprintf(`{"call":%q,"work_ms":%d}`, name, work)
	key = fmt.Sprintf(`"dev.quorate/idempotencyKey":%q`, key)
	var r *raw
	if session != nil {
		r = session.at(m)
	} else {
		r = w.raw(m.url())
	}
	defer r.close()
	r.header = [][2]string{{"Authorization", "Bearer " + caller}}
	id := rand.Uint64()
	if session != nil {
		return r.post(ctx, fmt.Sprintf(`{"jsonrpc":"2.0","id":"%x","method":"tools/call","params":{"name":"charge","arguments":%s,"_meta":{%s}}}`, id, arguments, key))
	}
	meta := strings.Replace(mcpagent.ModernMeta, "{", "{"+key+",", 1)
	return r.post(ctx, fmt.Sprintf(`{"jsonrpc":"2.0","id":"%x","method":"tools/call","params":{"name":"charge","arguments":%s,"_meta":%s}}`, id, arguments, meta),
		"MCP-Protocol-Version", mcpagent.VersionModern, "Mcp-Method", "tools/call", "Mcp-Name", mcpnode.ToolCharge)
}

// settle makes a call until its agent knows what became of it.
func (l *keyedLoad) settle(ctx context.Context, c *keyed, session *raw, rnd *rand.Rand) {
	for end := monotonic() + time.Minute; monotonic() < end; {
		m := l.at[rnd.IntN(len(l.at))]
		one, cancel := context.WithTimeout(ctx, 5*time.Second)
		c.mu.Lock()
		c.asked, c.flying = c.asked+1, true
		c.mu.Unlock()
		a := l.w.ask(one, m, session, "alice", "key-"+c.name, c.name, keyedWork)
		cancel()
		c.mu.Lock()
		c.flying, c.outcome = false, a
		c.mu.Unlock()
		switch {
		case a.good():
			c.ended, c.text = "done", a.said
			return
		case a.code == codeUnknown:
			c.ended = "unknown"
			return
		case a.err == nil && !a.later():
			c.ended = "lost" // asking again does not help
			return
		}
		l.w.pass(50 * time.Millisecond)
	}
	c.ended = "lost"
}

// keyed has agents make keyed calls: n, or more until there were so many faults, which come in turn.
func (w *world) keyed(n, count int, faults []fault, rnd *rand.Rand) *keyedLoad {
	w.t.Helper()
	l := &keyedLoad{w: w, at: w.gateways(), faults: count}
	ctx := context.WithoutCancel(w.t.Context())
	var work sync.WaitGroup
	queue := make(chan *keyed)
	for i := range keyedAgents {
		mine := rand.New(rand.NewPCG(rnd.Uint64(), uint64(i)))
		session := w.raw(l.at[i%len(l.at)].url()).open()
		work.Go(func() {
			for c := range queue {
				var s *raw
				if c.legacy {
					s = session
				}
				l.settle(ctx, c, s, mine)
			}
		})
	}
	killed := make(chan error, 1)
	go func() { killed <- l.hurt(count, faults) }()
	var problem error
	for i, over := 0, false; i < n || !over; i++ {
		c := &keyed{name: fmt.Sprintf("call-%d", i), legacy: i%4 == 0}
		l.mu.Lock()
		l.calls = append(l.calls, c)
		l.mu.Unlock()
		select {
		case queue <- c:
		case problem = <-killed:
			over = true
			queue <- c
		}
	}
	close(queue)
	work.Wait()
	if problem != nil {
		w.t.Fatal(problem)
	}
	return l
}

// hurt brings faults about in turn, each once the fleet has mended from the last one.
func (l *keyedLoad) hurt(n int, faults []fault) error {
	for i := range n {
		f, round := faults[i%len(faults)], i/len(faults)
		l.w.pass(500 * time.Millisecond)
		l.fly()
		f.hurt(round)
		l.fly() // what has begun meanwhile
		l.w.pass(f.lasts)
		if err := f.heal(round); err != nil {
			return err
		}
		if err := l.w.recovered(f.name); err != nil {
			return err
		}
	}
	return nil
}

// fly marks the calls that are under way now.
func (l *keyedLoad) fly() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.calls {
		c.mu.Lock()
		c.during = c.during || c.flying
		c.mu.Unlock()
	}
}

// starts counts by name how often calls began to run.
func (w *world) starts() map[string]int {
	all := map[string]int{}
	for _, e := range w.journal() {
		if e.Phase == mcpnode.PhaseStart && e.Tool == mcpnode.ToolCharge {
			all[e.Call]++
		}
	}
	return all
}

// TestLedger makes keyed calls while gateways and nodes are killed, and makes them again until their outcome is known: each
// runs at most once, and only those that were under way at a fault end unknown. Where sessions are kept in JetStream its
// servers are killed and cut off too; outcomes are the control group's, and no mirror's.
func TestLedger(t *testing.T) {
	s := seed(t)
	for _, kind := range []struct {
		way
		calls, faults int
	}{{asyncWay(), 1000, 8}, {jetstreamWay(s), 300, 5}} {
		t.Run(kind.name, func(t *testing.T) {
			kind.setup.route = "      - match: {tool: charge}\n        ledger: on\n"
			w := newWorld(t, kind.setup)
			l := w.keyed(number(t, "KEYED", kind.calls), number(t, "KILLS", kind.faults), kind.way.faults(w), rand.New(rand.NewPCG(s, 2)))
			w.writable(w.members...)
			w.onceEach(l)
			w.repeat(l)
		})
	}
}

// onceEach judges what became of calls, by their answers and the nodes' journals.
func (w *world) onceEach(l *keyedLoad) {
	w.t.Helper()
	starts := w.starts()
	ended, asked, during := map[string]int{}, 0, 0
	for _, c := range l.calls {
		ended[c.ended]++
		asked += c.asked
		if c.during {
			during++
		}
		if starts[c.name] > 1 {
			w.t.Errorf("%s ran %d times", c.name, starts[c.name])
		}
		if c.ended == "done" && (starts[c.name] != 1 || !strings.HasPrefix(c.text, "done "+c.name+" ")) {
			w.t.Errorf("%s was answered %q and ran %d times", c.name, c.text, starts[c.name])
		}
		if c.ended == "lost" {
			w.t.Errorf("%s has no outcome: %s", c.name, c.outcome)
		}
	}
	w.t.Logf("N=%d keyed calls asked for %d times through %d faults: %v; %d were under way at one", len(l.calls), asked, l.faults, ended, during)
	if ended["unknown"] > during {
		w.t.Errorf("%d unknown, and %d under way at faults", ended["unknown"], during)
	}
}

// repeat asks for outcomes once more, at every gateway: the same is told to the same caller, and to nobody else.
func (w *world) repeat(l *keyedLoad) {
	w.t.Helper()
	before := w.starts()
	ctx := w.t.Context()
	for i, c := range l.calls[:20] {
		m := l.at[i%len(l.at)]
		key := "key-" + c.name
		if a := w.ask(ctx, m, nil, "alice", key, c.name, keyedWork); c.ended == "done" && a.said != c.text {
			w.t.Errorf("%s once more: %s, not %q", c.name, a, c.text)
		}
		if a := w.ask(ctx, m, nil, "alice", key, c.name+"-other", 20); a.good() || w.starts()[c.name+"-other"] > 0 {
			w.t.Errorf("the same key with other arguments: %s", a)
		}
		if a := w.ask(ctx, m, nil, "mallory", key, c.name, keyedWork); a.said == c.text && c.ended == "done" && w.starts()[c.name] == before[c.name] {
			w.t.Errorf("another caller was told the outcome of %s: %s", c.name, a)
		}
	}
}

// TestLedgerControl is the same with the ledger off: calls that are made again run again.
func TestLedgerControl(t *testing.T) {
	beside(t)
	s := seed(t)
	w := newWorld(t, setup{})
	l := w.keyed(100, 2, asyncWay().faults(w), rand.New(rand.NewPCG(s, 2)))
	twice := 0
	starts := w.starts()
	for _, c := range l.calls {
		if starts[c.name] > 1 {
			twice++
		}
	}
	x := w.ask(t.Context(), w.gateways()[0], nil, "alice", "a-key", "again", 1)
	y := w.ask(t.Context(), w.gateways()[0], nil, "alice", "a-key", "again", 1)
	t.Logf("control: %d of %d keyed calls ran twice after kills; asked twice, one ran %d times", twice, len(l.calls), w.starts()["again"])
	if !x.good() || !y.good() || w.starts()["again"] != 2 {
		t.Errorf("without the ledger a repeated call ran %d times: this test could not see a repetition: %s, %s", w.starts()["again"], x, y)
	}
}
