package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/route"
	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/ledger"
)

// group is a control group that agrees at once, or cannot.
type group struct {
	mu    sync.Mutex
	index uint64
	parts []*ledger.Part
	cut   atomic.Bool
	hold  chan struct{} // not nil: nothing is agreed on before it is closed
	ended sync.Map      // lives

	patient bool // outcomes are waited for
}

func (g *group) propose(_ context.Context, command []byte) (result []byte, err error) {
	if g.cut.Load() {
		return nil, errors.New("nobody leads")
	}
	g.mu.Lock()
	hold := g.hold
	g.mu.Unlock()
	if hold != nil {
		<-hold
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.index++
	for _, p := range g.parts {
		if result, err = p.Apply(g.index, command); err != nil {
			return nil, err
		}
	}
	return result, nil
}

func (g *group) patience() time.Duration {
	if g.patient {
		return 10 * time.Second
	}
	return 100 * time.Millisecond
}

// holds makes the group stop, and returns what makes it go on.
func (g *group) holds() func() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hold = make(chan struct{})
	return sync.OnceFunc(func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		close(g.hold)
		g.hold = nil
	})
}

// keeper is one gateway of a group.
type keeper struct {
	*ledger.Ledger
	life atomic.Uint64
}

func (g *group) join(t *testing.T, name string) *keeper {
	t.Helper()
	m, p := &keeper{}, ledger.NewPart()
	m.life.Store(1)
	g.mu.Lock()
	if len(g.parts) > 0 {
		b, err := g.parts[0].Snapshot()
		if err != nil || p.Restore(b) != nil {
			t.Fatal("a snapshot is refused", err)
		}
	}
	g.parts = append(g.parts, p)
	g.mu.Unlock()
	var err error
	m.Ledger, err = ledger.New(ledger.Config{
		Part: p, Propose: g.propose, Patience: g.patience(), Logger: slog.New(slog.DiscardHandler),
		Life: func() authority.Life {
			return authority.Life{Gateway: name, Incarnation: authority.Index(m.life.Load())}
		},
		Ended: func(l authority.Life) bool { _, over := g.ended.Load(l); return over },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		g.cut.Store(true)
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		m.Close(ctx)
	})
	return m
}

// keeps is a gateway whose every call has the ledger.
func keeps(t *testing.T, l Ledger, a Authority) func(*Config, *Service) {
	return func(c *Config, s *Service) {
		c.Ledger, c.Authority = l, a
		s.Routes = routesOf(t, route.Route{Ledger: true})
	}
}

// call is one tools/call of a test.
type keyedBy struct {
	key, id, tool, arguments, more string
	header                         []string
}

func (s *setup) keyed(t testing.TB, k keyedBy) *http.Response {
	t.Helper()
	if k.tool == "" {
		k.tool = "charge"
	}
	if k.arguments == "" {
		k.arguments = `{"a":1}`
	}
	if k.key == "" {
		k.key = `"k"`
	}
	meta := strings.TrimSuffix(modernMeta, "}") + `,"` + mcp.MetaIdempotencyKey + `":` + k.key + `}`
	return s.post(t, `{"jsonrpc":"2.0","id":`+k.id+`,"method":"tools/call","params":{"name":"`+k.tool+`","arguments":`+k.arguments+`,`+k.more+meta+`}}`,
		append(k.header, "MCP-Protocol-Version", "2026-07-28", "Mcp-Method", "tools/call", "Mcp-Name", k.tool)...)
}

// counting answers each call with how many there were.
func counting(n *node) *node {
	n.serve = func(w http.ResponseWriter, r *http.Request) {
		answerJSON(w, fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"content":[],"n":%d}}`, idOf(r), n.calls.Load()))
	}
	return n
}

// idOf reads a request's id.
func idOf(r *http.Request) string {
	var m struct {
		ID json.RawMessage `json:"id"`
	}
	body, _ := io.ReadAll(r.Body)
	_ = json.Unmarshal(body, &m)
	return string(m.ID)
}

func wantAnswer(t *testing.T, resp *http.Response, stored bool, parts ...string) {
	t.Helper()
	body := text(t, resp)
	for _, p := range parts {
		if !strings.Contains(body, p) {
			t.Errorf("got %d %s, want %s in it", resp.StatusCode, body, p)
		}
	}
	if is := resp.Header.Get(mcp.HeaderLedger) == mcp.Stored; is != stored {
		t.Errorf("got %d %s: from the ledger: %t, want %t", resp.StatusCode, body, is, stored)
	}
}

func wantCalls(t *testing.T, n *node, calls int32) {
	t.Helper()
	if got := n.calls.Load(); got != calls {
		t.Errorf("the node was called %d times, want %d", got, calls)
	}
}

// A key runs its call once, at whichever gateway it arrives; without the ledger it runs as often as it comes.
func TestKeyRunsOnce(t *testing.T) {
	for _, on := range []bool{true, false} {
		t.Run(fmt.Sprint("ledger ", on), func(t *testing.T) {
			g, n := &group{}, counting(modern("a", nil))
			change := func(name string) func(*Config, *Service) {
				change := keeps(t, g.join(t, name), majority(1))
				return func(c *Config, s *Service) {
					change(c, s)
					if !on {
						s.Routes = routesOf(t)
					}
				}
			}
			one := start(t, change("one"), n)
			two := start(t, change("two"), n)
			wantAnswer(t, one.keyed(t, keyedBy{id: `7`}), false, `"id":7`, `"n":1`)
			again := map[bool]string{true: `"n":1`, false: `"n":2`}[on]
			wantAnswer(t, one.keyed(t, keyedBy{id: `"x"`}), on, `"id":"x"`, again)
			if on {
				wantAnswer(t, two.keyed(t, keyedBy{id: `8`, arguments: `{ "a" : 1 }`}), true, `"id":8`, `"n":1`)
				wantCalls(t, n, 1)
			}
		})
	}
}

func TestScopesOfKeys(t *testing.T) {
	g, n := &group{}, counting(modern("a", nil))
	s := start(t, keeps(t, g.join(t, "one"), nil), n)
	by := func(who string) []string { return []string{"Authorization", who} }
	wantAnswer(t, s.keyed(t, keyedBy{id: `1`, header: by("Bearer a")}), false, `"n":1`)
	wantAnswer(t, s.keyed(t, keyedBy{id: `2`, header: by("Bearer b")}), false, `"n":2`)
	wantAnswer(t, s.keyed(t, keyedBy{id: `3`}), false, `"n":3`)
	wantAnswer(t, s.keyed(t, keyedBy{id: `4`, header: by("Bearer a"), tool: "set"}), false, `"n":4`)
	wantAnswer(t, s.keyed(t, keyedBy{id: `5`, header: by("Bearer a")}), true, `"n":1`)
	resp := s.keyed(t, keyedBy{id: `6`, header: by("Bearer a"), arguments: `{"a":2}`})
	wantAnswer(t, resp, false, `"code":-32602`, `"key_reused"`, `"id":6`)
	wantAnswer(t, s.keyed(t, keyedBy{id: `7`, header: by("Bearer c"), arguments: `{"a":9007199254740993}`}), false, `"n":5`)
	resp = s.keyed(t, keyedBy{id: `8`, header: by("Bearer c"), arguments: `{"a":9007199254740992}`})
	wantAnswer(t, resp, false, `"key_reused"`)
	// A call that stopped to ask goes on under the same key: each step runs once.
	for i := range 2 {
		wantAnswer(t, s.keyed(t, keyedBy{id: `9`, header: by("Bearer a"), more: `"requestState":"s",`}), i > 0, `"n":6`)
	}
	wantCalls(t, n, 6)
}

func TestKeysAreChecked(t *testing.T) {
	g, n := &group{}, counting(modern("a", nil))
	s := start(t, keeps(t, g.join(t, "one"), nil), n)
	for _, key := range []string{`""`, `7`, `null`, `{}`, `"with blank"`, `"tab\t"`, `"ü"`, `"` + strings.Repeat("x", 256) + `"`} {
		wantAnswer(t, s.keyed(t, keyedBy{id: `1`, key: key}), false, `"code":-32602`, `"bad_key"`)
	}
	wantCalls(t, n, 0)
	wantAnswer(t, s.keyed(t, keyedBy{id: `1`, key: `"` + strings.Repeat("~", 255) + `"`}), false, `"n":1`)
	batch := `[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"charge","_meta":{"dev.quorate/idempotency\u004bey":"k"}}}]`
	resp := s.post(t, batch, "MCP-Protocol-Version", "2025-03-26")
	wantAnswer(t, resp, false, `"key_in_batch"`)
	wantCalls(t, n, 1)
}

// A gateway without a ledger refuses: a key that is ignored would be a promise broken.
func TestNoLedger(t *testing.T) {
	n := counting(modern("a", nil))
	s := start(t, keeps(t, nil, nil), n)
	wantAnswer(t, s.keyed(t, keyedBy{id: `1`}), false, `"code":-32073`, `"ledger_not_ready"`)
	wantCalls(t, n, 0)
}

// A repeat waits for the call that is under way, whose agent has left.
func TestRepeatWaits(t *testing.T) {
	g, n := &group{}, modern("a", nil)
	arrived, goOn := make(chan struct{}), make(chan struct{})
	n.serve = func(w http.ResponseWriter, r *http.Request) {
		id := idOf(r)
		close(arrived)
		<-goOn
		answerJSON(w, `{"jsonrpc":"2.0","id":`+id+`,"result":{"n":1}}`)
	}
	s := start(t, keeps(t, g.join(t, "one"), nil), n)
	two := start(t, keeps(t, g.join(t, "two"), nil), n)
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, strings.NewReader(
			`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"charge","arguments":{"a":1},`+strings.TrimSuffix(modernMeta, "}")+`,"`+mcp.MetaIdempotencyKey+`":"k"}}}`))
		if err != nil {
			t.Error(err)
			return
		}
		for k, v := range map[string]string{"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "charge"} {
			r.Header.Set(k, v)
		}
		if resp, err := http.DefaultTransport.RoundTrip(r); err == nil {
			resp.Body.Close()
			t.Error("answered")
		}
	}()
	<-arrived
	leave()
	<-gone
	answers := make(chan *http.Response, 2)
	for _, at := range []*setup{s, two} {
		go func() { answers <- at.keyed(t, keyedBy{id: `2`}) }()
	}
	close(goOn)
	for range 2 {
		wantAnswer(t, <-answers, true, `"id":2`, `"n":1`)
	}
	wantCalls(t, n, 1)
}

// What certainly has not run frees its key; what may have run never runs again.
func TestOutcomes(t *testing.T) {
	plain := func(status int, body string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			id := idOf(r)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, strings.ReplaceAll(body, "ID", id))
		}
	}
	const result, failed = `{"jsonrpc":"2.0","id":ID,"result":{"n":1}}`, `{"jsonrpc":"2.0","id":ID,"error":{"code":-32602,"message":"no such account"}}`
	for name, tt := range map[string]struct {
		serve         http.HandlerFunc
		first, second string
		stored        bool
		calls         int32
	}{
		"result":          {plain(200, result), `"n":1`, `"n":1`, true, 1},
		"error":           {plain(200, failed), `no such account`, `no such account`, true, 1},
		"error by status": {plain(400, failed), `no such account`, `no such account`, true, 1},
		"events": {func(w http.ResponseWriter, r *http.Request) {
			id := idOf(r)
			events(w, `{"jsonrpc":"2.0","method":"notifications/message","params":{}}`, strings.ReplaceAll(result, "ID", id))
		}, `"n":1`, `"n":1`, true, 1},
		"connection lost":     {func(w http.ResponseWriter, r *http.Request) { idOf(r); hangUp(w) }, `-32070`, `"attempt_lost"`, false, 1},
		"the node's own 500":  {plain(500, `oops`), `oops`, `"attempt_lost"`, false, 1},
		"busy":                {plain(503, `busy`), `busy`, `"attempt_lost"`, false, 1},
		"credentials refused": {plain(401, `who?`), `who?`, `who?`, false, 2},
		"another's answer":    {plain(200, `{"jsonrpc":"2.0","id":99,"result":{}}`), `99`, `"attempt_lost"`, false, 1},
		"unknown by a node":   {plain(200, `{"jsonrpc":"2.0","id":ID,"error":{"code":-32070,"message":"lost"}}`), `lost`, `"attempt_lost"`, false, 1},
		"overtaken at a node": {plain(200, `{"jsonrpc":"2.0","id":ID,"error":{"code":-32071,"message":"overtaken"}}`), `overtaken`, `overtaken`, false, 2},
		"large":               {plain(200, `{"jsonrpc":"2.0","id":ID,"result":"`+strings.Repeat("x", 200<<10)+`"}`), `xxx"}`, `"result_not_kept"`, false, 1},
		"a little too large":  {plain(200, `{"jsonrpc":"2.0","id":ID,"result":"`+strings.Repeat("x", 64<<10)+`"}`), `xxx"}`, `"result_not_kept"`, false, 1},
		"a stream that ends": {func(w http.ResponseWriter, r *http.Request) {
			idOf(r)
			events(w, `{"jsonrpc":"2.0","method":"notifications/message","params":{}}`)
		}, `notifications/message`, `"running"`, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			g, n := &group{}, modern("a", tt.serve)
			s := start(t, func(c *Config, v *Service) {
				keeps(t, g.join(t, "one"), majority(1))(c, v)
				v.Routes = routesOf(t, route.Route{Ledger: true, Deadline: time.Second})
			}, n)
			wantAnswer(t, s.keyed(t, keyedBy{id: `1`, tool: "set"}), false, tt.first)
			wantAnswer(t, s.keyed(t, keyedBy{id: `2`, tool: "set"}), tt.stored, tt.second)
			wantCalls(t, n, tt.calls)
		})
	}
}

// A call that no node took frees its key.
func TestNotRun(t *testing.T) {
	g, n, dead := &group{}, counting(modern("a", nil)), modern("b", ok)
	s := start(t, keeps(t, g.join(t, "one"), majority(1)), dead)
	dead.server.Close()
	for range 2 {
		wantAnswer(t, s.keyed(t, keyedBy{id: `1`}), false, `"code":-32072`)
	}
	two := start(t, keeps(t, g.join(t, "two"), majority(1)), n)
	wantAnswer(t, two.keyed(t, keyedBy{id: `2`}), false, `"n":1`)
}

// Between its intent and its first byte a gateway loses the right to write, or its life: the call does not go out.
func TestLostInBetween(t *testing.T) {
	for name, lose := range map[string]func(*side, *keeper){
		"the gate closes": func(s *side, _ *keeper) { s.open.Store(false) },
		"its life ends":   func(_ *side, m *keeper) { m.life.Store(2) },
		"nothing":         func(*side, *keeper) {},
	} {
		t.Run(name, func(t *testing.T) {
			g, n, a := &group{}, counting(modern("a", nil)), majority(1)
			m := g.join(t, "one")
			s := start(t, keeps(t, losing{m, func() { lose(a, m) }}, a), n)
			resp := s.keyed(t, keyedBy{id: `1`})
			if name == "nothing" {
				wantAnswer(t, resp, false, `"n":1`)
				return
			}
			wantAnswer(t, resp, false, `"code":-32071`)
			wantCalls(t, n, 0)
			a.open.Store(true)
			two := start(t, keeps(t, g.join(t, "two"), majority(1)), n)
			wantAnswer(t, two.keyed(t, keyedBy{id: `2`}), false, `"n":1`)
		})
	}
}

// losing loses something once an intent is committed.
type losing struct {
	Ledger
	lose func()
}

func (l losing) Begin(ctx context.Context, c ledger.Call) (ledger.Begun, error) {
	b, err := l.Ledger.Begin(ctx, c)
	l.lose()
	return b, err
}

// Without a group nothing goes out. If it is lost only after that, the agent is answered, and the outcome follows.
func TestGroupLost(t *testing.T) {
	g, n := &group{}, counting(modern("a", nil))
	m := g.join(t, "one")
	s := start(t, func(c *Config, v *Service) {
		keeps(t, m, nil)(c, v)
		v.Routes = routesOf(t, route.Route{Ledger: true, Deadline: 300 * time.Millisecond})
	}, n)
	wantAnswer(t, s.keyed(t, keyedBy{id: `0`, key: `"first"`}), false, `"n":1`) // the fleet's key is there
	g.cut.Store(true)
	wantAnswer(t, s.keyed(t, keyedBy{id: `1`}), false, `"code":-32071`, `"no_quorum"`)
	wantCalls(t, n, 1)
	g.cut.Store(false)
	late := start(t, keeps(t, losing{m, func() { g.cut.Store(true) }}, nil), n)
	wantAnswer(t, late.keyed(t, keyedBy{id: `2`, key: `"l"`}), false, `"n":2`)
	wantAnswer(t, s.keyed(t, keyedBy{id: `3`, key: `"l"`}), false, `"code":-32070`, `"running"`)
	g.cut.Store(false)
	wantAnswer(t, late.keyed(t, keyedBy{id: `4`, key: `"l"`}), true, `"n":2`)
	wantCalls(t, n, 2)
}

// The gateway that ran a call has ended: nobody knows, and it never runs again.
func TestLifeEnded(t *testing.T) {
	g := &group{}
	m, two := g.join(t, "one"), g.join(t, "two")
	if b, err := m.Begin(t.Context(), (&pool{service: &service{name: "tools"}}).recall(&message{}, nil)); err != nil || b.Intent == nil {
		t.Fatal(b, err)
	}
	g.ended.Store(authority.Life{Gateway: "one", Incarnation: 1}, true)
	_, err := two.Begin(t.Context(), (&pool{service: &service{name: "tools"}}).recall(&message{}, nil))
	if !errors.Is(err, ledger.ErrUnknown) {
		t.Error(err)
	}
}

// A key works in a session as outside, whether its node answers with JSON or with events, and for an agent that came
// back for its stream.
func TestKeyInSession(t *testing.T) {
	for _, sse := range []bool{false, true} {
		t.Run(fmt.Sprint("events ", sse), func(t *testing.T) {
			g, n := &group{}, stateful("a")
			calls, serve := 0, n.serve
			n.serve = func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				r.Body = io.NopCloser(strings.NewReader(string(body)))
				if !strings.Contains(string(body), "tools/call") {
					serve(w, r)
					return
				}
				calls++
				answer := fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"n":%d}}`, idOf(r), calls)
				if !sse {
					answerJSON(w, answer)
					return
				}
				events(w, `{"jsonrpc":"2.0","method":"notifications/message","params":{}}`, answer)
			}
			s := start(t, keeps(t, g.join(t, "one"), majority(1)), n)
			s2 := site{setup: s}
			call := func(id string) *http.Response {
				return s.post(t, `{"jsonrpc":"2.0","id":`+id+`,"method":"tools/call","params":{"name":"charge","_meta":{"`+mcp.MetaIdempotencyKey+`":"k"}}}`,
					"Mcp-Session-Id", s2.open(t), "MCP-Protocol-Version", "2025-06-18")
			}
			wantAnswer(t, call(`1`), false, `"id":1`, `"n":1`)
			wantAnswer(t, call(`2`), true, `"id":2`, `"n":1`)
			resp := s.post(t, `{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"charge","_meta":{"`+mcp.MetaIdempotencyKey+`":"other"}}}`,
				"Mcp-Session-Id", "nobody's", "MCP-Protocol-Version", "2025-06-18")
			if resp.StatusCode != http.StatusNotFound {
				t.Errorf("an unknown session: %d", resp.StatusCode)
			}
			if calls != 1 {
				t.Errorf("%d calls", calls)
			}
		})
	}
}

// An agent gets the end of an answer only when its outcome is committed; what comes before passes at once.
func TestOutcomeBeforeAnswer(t *testing.T) {
	progress, answer := `{"jsonrpc":"2.0","method":"notifications/message","params":{}}`, `{"jsonrpc":"2.0","id":1,"result":{"n":1}}`
	for name, serve := range map[string]http.HandlerFunc{
		"JSON":   func(w http.ResponseWriter, r *http.Request) { idOf(r); answerJSON(w, answer) },
		"events": func(w http.ResponseWriter, r *http.Request) { idOf(r); events(w, progress, answer) },
	} {
		t.Run(name, func(t *testing.T) {
			g, answered := &group{patient: true}, make(chan struct{})
			var goOn func()
			n := modern("a", func(w http.ResponseWriter, r *http.Request) {
				goOn = g.holds() // the intent is committed, the outcome cannot be yet
				serve(w, r)
				close(answered)
			})
			s := start(t, keeps(t, g.join(t, "one"), nil), n)
			bodies := make(chan string, 1)
			first := make(chan struct{})
			go func() {
				resp := s.keyed(t, keyedBy{id: `1`})
				if name == "events" {
					b := make([]byte, len(progress)) // comes while the outcome waits
					_, _ = io.ReadFull(resp.Body, b)
				}
				close(first)
				b, _ := io.ReadAll(resp.Body)
				bodies <- string(b)
			}()
			<-answered
			if name == "events" {
				<-first
			}
			select {
			case b := <-bodies:
				goOn()
				t.Fatalf("answered before the outcome was committed: %s", b)
			case <-time.After(100 * time.Millisecond):
			}
			goOn()
			if b := <-bodies; !strings.Contains(b, `"n":1`) {
				t.Error(b)
			}
		})
	}
}

// A call under a key that another region's node serves has its intent where the agent asked, and goes out once there too.
func TestKeyInAnotherRegion(t *testing.T) {
	for _, on := range []bool{true, false} {
		t.Run(fmt.Sprint("ledger ", on), func(t *testing.T) {
			lost := func(w http.ResponseWriter, r *http.Request) { idOf(r); hangUp(w) }
			g := &group{}
			a, b := at("a"), at("b", modern("b1", lost), modern("b2", lost))
			for _, s := range []*site{a, b} {
				s.routes = []route.Route{{Ledger: on, Class: 1, Spill: 2}}
				s.ledger, s.authority = g.join(t, s.name), majority(1)
			}
			startSites(t, near(20), a, b)
			for range 2 {
				wantAnswer(t, a.keyed(t, keyedBy{id: `1`, tool: "set"}), false, `"code":-32070`)
			}
			if calls := b.nodes[0].calls.Load() + b.nodes[1].calls.Load(); on && calls != 1 || !on && calls < 3 {
				t.Errorf("the nodes saw it %d times", calls)
			}
		})
	}
}

// The ledger's judgement of answers, each alone.
func TestJudge(t *testing.T) {
	const ok, failed = `{"jsonrpc":"2.0","id":7,"result":{"a":1}}`, `{"jsonrpc":"2.0","id":7,"error":{"code":-32602,"message":"m"}}`
	for name, tt := range map[string]struct {
		answer keyedAnswer
		kind   ledger.Kind
		value  string
	}{
		"result":             {keyedAnswer{status: 200, body: []byte(ok), sent: true}, ledger.Result, `{"a":1}`},
		"error":              {keyedAnswer{status: 404, body: []byte(failed), sent: true}, ledger.Failed, `{"code":-32602,"message":"m"}`},
		"never sent":         {keyedAnswer{status: 200, body: []byte(ok)}, ledger.NotRun, ""},
		"refused here":       {keyedAnswer{status: 200, body: []byte(failed), sent: true, refused: true}, ledger.NotRun, ""},
		"who are you":        {keyedAnswer{status: 401, body: []byte(failed), sent: true}, ledger.NotRun, ""},
		"cut":                {keyedAnswer{status: 200, body: []byte(ok), sent: true, cut: true}, ledger.Unkept, ""},
		"cut error":          {keyedAnswer{status: 500, body: []byte(ok), sent: true, cut: true}, ledger.Result, `{"a":1}`},
		"half of a long one": {keyedAnswer{status: 500, body: []byte(ok[:9]), sent: true, cut: true}, ledger.Unknown, ""},
		"no answer":          {keyedAnswer{status: 200, body: nil, sent: true}, ledger.Unknown, ""},
		"not JSON":           {keyedAnswer{status: 404, body: []byte("404"), sent: true}, ledger.Unknown, ""},
		"another's":          {keyedAnswer{status: 200, body: []byte(strings.Replace(ok, "7", "8", 1)), sent: true}, ledger.Unknown, ""},
		"a question":         {keyedAnswer{status: 200, body: []byte(`{"jsonrpc":"2.0","id":7,"method":"ping"}`), sent: true}, ledger.Unknown, ""},
		"a batch":            {keyedAnswer{status: 200, body: []byte("[" + ok + "]"), sent: true}, ledger.Unknown, ""},
		"unknown elsewhere":  {keyedAnswer{status: 200, body: []byte(strings.Replace(failed, "-32602", "-32070", 1)), sent: true}, ledger.Unknown, ""},
	} {
		tt.answer.id = []byte("7")
		if o := judge(tt.answer); o.Kind != tt.kind || string(o.Value) != tt.value {
			t.Errorf("%s: kind %d %s, want %d %s", name, o.Kind, o.Value, tt.kind, tt.value)
		}
	}
}
