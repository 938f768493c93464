package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/session"
)

// owners is a fleet's memory of who owns which session, and of what is kept of it.
type owners struct {
	mu   sync.Mutex
	of   map[string]string // session → gateway; "": nobody, it was deleted
	kept map[string][]byte
	dead map[string]bool
	lost bool // nobody can say now
}

// owner is that memory as one gateway sees it. It implements session.Keeper.
type owner struct {
	*owners
	name string
}

func (o owner) Life() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.dead[o.name] {
		return 0
	}
	return 1
}

func (o owner) Mint() (string, uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	id := fmt.Sprintf("q1-%d", len(o.of))
	o.of[id] = o.name
	return id, 1
}

func (o owner) Changes(string) *mcp.Error { return nil }

func (o owner) Ends(string) *mcp.Error { return nil }
func (o owner) Commits(string) bool    { return false }

func (o owner) Keep(_ context.Context, _, id string, contents []byte, _ session.How) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.of[id] != o.name {
		return session.ErrTaken
	}
	o.kept[id] = contents
	return nil
}

func (o owner) Drop(_ context.Context, _, id string, _ session.How) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.of[id] = ""
	return nil
}

func (o owner) Find(_ context.Context, _, id string) (session.Found, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch at := o.of[id]; {
	case o.lost:
		return session.Found{Where: session.Nowhere, Why: mcp.NoAuthority(mcp.ReasonMinority, time.Second)}, nil
	case at == "":
		return session.Found{Where: session.Unknown}, nil
	case at != o.name && !o.dead[at]:
		return session.Found{Where: session.There, Gateway: at}, nil
	}
	o.of[id] = o.name
	return session.Found{Where: session.Here, Contents: o.kept[id], Life: 1}, nil
}

func (o *owners) set(change func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	change()
}

// pair is two gateways of a fleet in front of the same nodes.
type pair struct {
	*owners
	a, b    *setup
	forward map[string]*httptest.Server
	door    map[string]func(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) // in front of a gateway's links
	relayed atomic.Int32
}

func startPair(t *testing.T, nodes ...*node) *pair {
	t.Helper()
	p := &pair{owners: &owners{of: map[string]string{}, kept: map[string][]byte{}, dead: map[string]bool{}},
		forward: map[string]*httptest.Server{}, door: map[string]func(http.ResponseWriter, *http.Request, http.HandlerFunc){}}
	gateways := map[string]*setup{}
	for _, name := range []string{"a", "b"} {
		s := start(t, func(c *Config, _ *Service) {
			c.Name, c.Keeper, c.Relay = name, owner{p.owners, name}, p.link
		}, nodes...)
		gateways[name] = s
		p.forward[name] = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get(mcp.HeaderRelay) == "" {
				t.Errorf("%s asked without saying who", name)
			}
			p.relayed.Add(1)
			serve := func(w http.ResponseWriter, r *http.Request) { s.gateway.ServeForwarded(w, r, "r") }
			if door := p.door[name]; door != nil {
				door(w, r, serve)
				return
			}
			serve(w, r)
		}))
		t.Cleanup(p.forward[name].Close)
	}
	p.a, p.b = gateways["a"], gateways["b"]
	return p
}

// link carries requests to a gateway as the fleet's links do.
func (p *pair) link(to string) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.URL.Scheme, r.URL.Host = "http", strings.TrimPrefix(p.forward[to].URL, "http://")
		return (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	})
}

func (s *setup) openSession(t *testing.T) string { return (&site{setup: s}).open(t) }

func (s *setup) inSession(t *testing.T, session, tool string) (*http.Response, string) {
	t.Helper()
	resp := s.post(t, `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"`+tool+`","arguments":{}}}`,
		"Mcp-Session-Id", session, "MCP-Protocol-Version", "2025-06-18", "Quorate-Relay", "an agent says so")
	return resp, text(t, resp)
}

func (s *setup) session(t *testing.T, method, session string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	return s.do(t, r, "Mcp-Session-Id", session, "MCP-Protocol-Version", "2025-06-18")
}

func TestRelayToTheOwner(t *testing.T) {
	n := stateful("n")
	plain := n.serve
	n.serve = func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		plain(w, r)
	}
	p := startPair(t, n)
	id := p.a.openSession(t)
	for i := range 3 {
		if resp, body := p.b.inSession(t, id, "charge"); resp.StatusCode != 200 || !strings.Contains(body, `"text":"n"`) {
			t.Fatalf("%d %s", resp.StatusCode, body)
		}
		if got := int(p.relayed.Load()); got != i+1 {
			t.Fatalf("%d relayed", got)
		}
	}
	if p.a.gateway.Sessions("tools") != 1 || p.b.gateway.Sessions("tools") != 0 {
		t.Errorf("sessions: %d and %d", p.a.gateway.Sessions("tools"), p.b.gateway.Sessions("tools"))
	}
	if resp, _ := p.a.inSession(t, id, "read"); resp.StatusCode != 200 || p.relayed.Load() != 3 {
		t.Errorf("at its owner: %d", resp.StatusCode)
	}
	if resp := p.b.session(t, http.MethodDelete, id); resp.StatusCode != http.StatusNoContent {
		t.Errorf("delete: %d", resp.StatusCode)
	}
	for _, s := range []*setup{p.a, p.b} {
		if resp, body := s.inSession(t, id, "read"); resp.StatusCode != http.StatusNotFound || strings.Contains(body, "{") {
			t.Errorf("deleted: %d %s", resp.StatusCode, body)
		}
		if resp := s.session(t, http.MethodGet, id); resp.StatusCode != http.StatusNotFound {
			t.Errorf("deleted: GET %d", resp.StatusCode)
		}
	}
}

// TestRelayIsNotRelayed: two gateways that take each other for the owner refuse instead of asking in circles.
func TestRelayIsNotRelayed(t *testing.T) {
	p := startPair(t, stateful("n"))
	id := p.a.openSession(t)
	p.set(func() { p.of[id] = "b" })
	if m, _ := p.a.gateway.OwnSessions("tools"); m != nil {
		m.Yield(id)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.forward["a"].URL+"/mcp", strings.NewReader(`{"jsonrpc":"2.0","id":2,"method":"ping"}`))
	if err != nil {
		t.Fatal(err)
	}
	resp := p.a.do(t, r, "Mcp-Session-Id", id, mcp.HeaderRelay, "c")
	if resp.StatusCode != http.StatusLoopDetected || resp.Header.Get(mcp.HeaderRefused) != "unavailable/loop" || p.relayed.Load() != 1 {
		t.Errorf("%d %v, %d relayed", resp.StatusCode, resp.Header, p.relayed.Load())
	}
}

// TestRelayBreaks: what may have run is not sent again, everything else goes on where the session goes on.
func TestRelayBreaks(t *testing.T) {
	for _, c := range []struct {
		tool, want string
		calls      int // at the nodes
	}{{"charge", "-32070", 0}, {"read", `"text":"n"`, 1}} {
		t.Run(c.tool, func(t *testing.T) {
			p := startPair(t, stateful("n"))
			id := p.a.openSession(t)
			p.door["a"] = func(w http.ResponseWriter, r *http.Request, _ http.HandlerFunc) {
				_, _ = io.Copy(io.Discard, r.Body)
				p.set(func() { p.dead["a"] = true })
				hangUp(w)
			}
			before := p.b.nodes[0].calls.Load()
			resp, body := p.b.inSession(t, id, c.tool)
			if resp.StatusCode != 200 || !strings.Contains(body, c.want) {
				t.Errorf("%d %s", resp.StatusCode, body)
			}
			if got := int(p.b.nodes[0].calls.Load() - before); got != c.calls {
				t.Errorf("%d calls", got)
			}
			if resp, body := p.b.inSession(t, id, "charge"); resp.StatusCode != 200 || !strings.Contains(body, `"text":"n"`) {
				t.Errorf("afterwards: %d %s", resp.StatusCode, body)
			}
		})
	}
}

// TestRelayBreaksForGood: of what another gateway may have made, nobody says that nothing was done.
func TestRelayBreaksForGood(t *testing.T) {
	for method, want := range map[string]string{
		`"logging/setLevel","params":{"level":"error"}`: "-32070",
		`"tools/list","params":{}`:                      "-32071",
	} {
		p := startPair(t, stateful("n"))
		id := p.a.openSession(t)
		p.door["a"] = func(w http.ResponseWriter, r *http.Request, _ http.HandlerFunc) {
			_, _ = io.Copy(io.Discard, r.Body)
			p.set(func() { p.lost = true })
			hangUp(w)
		}
		body := text(t, p.b.post(t, `{"jsonrpc":"2.0","id":2,"method":`+method+`}`, "Mcp-Session-Id", id, "MCP-Protocol-Version", "2025-06-18"))
		if !strings.Contains(body, want) {
			t.Errorf("%s: %s", method, body)
		}
	}
}

// TestRelayRefusedLater: what the owner may have made before the way to it broke is not told as if nothing had been done, though
// it says so itself of the second try, as it may write no more by then.
func TestRelayRefusedLater(t *testing.T) {
	for method, want := range map[string]string{
		`"logging/setLevel","params":{"level":"error"}`: "-32070",
		`"tools/list","params":{}`:                      "-32071",
	} {
		p := startPair(t, stateful("n"))
		id := p.a.openSession(t)
		tries := 0
		p.door["a"] = func(w http.ResponseWriter, r *http.Request, _ http.HandlerFunc) {
			_, _ = io.Copy(io.Discard, r.Body)
			if tries++; tries == 1 {
				hangUp(w)
				return
			}
			mcp.WriteError(w, mcp.NoAuthority(mcp.ReasonMinority, time.Second), []byte("2"))
		}
		body := text(t, p.b.post(t, `{"jsonrpc":"2.0","id":2,"method":`+method+`}`, "Mcp-Session-Id", id, "MCP-Protocol-Version", "2025-06-18"))
		if !strings.Contains(body, want) || tries < 2 {
			t.Errorf("%s, %d tries: %s", method, tries, body)
		}
	}
}

// TestLostOverALongCall: a gateway that is lost after it has worked on a call for longer than a session is looked for is
// followed by another all the same.
func TestLostOverALongCall(t *testing.T) {
	t.Parallel()
	p := startPair(t, stateful("n"))
	id := p.a.openSession(t)
	p.door["a"] = func(w http.ResponseWriter, r *http.Request, _ http.HandlerFunc) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-time.After(errandBound + 100*time.Millisecond)
		hangUp(w)
		<-time.After(100 * time.Millisecond) // until the gateway's end is known
		p.set(func() { p.dead["a"] = true })
	}
	if resp, body := p.b.inSession(t, id, "read"); resp.StatusCode != 200 || !strings.Contains(body, `"text":"n"`) {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

// TestRelayToAClosedDoor: nothing has been sent, so even a write goes on.
func TestRelayToAClosedDoor(t *testing.T) {
	p := startPair(t, stateful("n"))
	id := p.a.openSession(t)
	p.b.gateway.cfg.Relay = func(string) http.RoundTripper {
		return roundTripper(func(*http.Request) (*http.Response, error) {
			p.set(func() { p.dead["a"] = true })
			return nil, errors.New("no link")
		})
	}
	if resp, body := p.b.inSession(t, id, "charge"); resp.StatusCode != 200 || !strings.Contains(body, `"text":"n"`) {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

// streaming is a stateful node that answers calls with a stream, and has a standalone one.
func streaming(id string, call func(w http.ResponseWriter, r *http.Request, id string)) *node {
	n := stateful(id)
	plain := n.serve
	n.serve = func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var m struct {
			ID     json.RawMessage `json:"id"`
			Method string          `json:"method"`
		}
		_ = json.Unmarshal(body, &m)
		if r.Method == http.MethodGet || m.Method == "tools/call" {
			call(w, r, string(m.ID))
			return
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		plain(w, r)
	}
	return n
}

func TestRelayedStreams(t *testing.T) {
	more := make(chan struct{})
	defer close(more) // or the call that is left would be waited for
	p := startPair(t, streaming("n", func(w http.ResponseWriter, r *http.Request, id string) {
		events(w, `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"first"}}`)
		if id == "" {
			<-r.Context().Done()
			return
		}
		select {
		case <-more:
			events(w, `{"jsonrpc":"2.0","id":`+id+`,"result":{}}`)
		case <-r.Context().Done():
		}
	}))
	id := p.a.openSession(t)
	listen := p.b.session(t, http.MethodGet, id)
	if ev, err := mcp.NewEventReader(listen.Body, 1<<20).Next(); err != nil || !strings.Contains(string(ev.Data), "first") || !ev.HasID {
		t.Fatalf("%v %q", err, ev.Raw) // it came although the stream goes on
	}
	listen.Body.Close()
	call := func() (*http.Response, *mcp.EventReader) {
		resp := p.b.post(t, `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"charge","arguments":{}}}`, "Mcp-Session-Id", id)
		events := mcp.NewEventReader(resp.Body, 1<<20)
		if ev, err := events.Next(); err != nil || !strings.Contains(string(ev.Data), "first") {
			t.Fatalf("%v %q", err, ev.Raw)
		}
		return resp, events
	}
	_, got := call()
	more <- struct{}{}
	if ev, err := got.Next(); err != nil || !strings.Contains(string(ev.Data), `"id":2,"result"`) {
		t.Fatalf("%v %q", err, ev.Raw)
	}
	if ev, err := got.Next(); err == nil {
		t.Fatalf("behind the answer: %q", ev.Raw)
	}
	_, got = call()
	p.forward["a"].CloseClientConnections()
	if ev, err := got.Next(); err != nil || !strings.Contains(string(ev.Data), `"id":2,"error":{"code":-32070`) {
		t.Fatalf("its gateway was lost: %v %q", err, ev.Raw)
	}
}

// TestStreamIsHeld: some agents give a session up when its stream is refused.
func TestStreamIsHeld(t *testing.T) {
	p := startPair(t, stateful("n"))
	id := p.a.openSession(t)
	p.set(func() { p.dead["a"], p.lost = true, true })
	if resp, body := p.b.inSession(t, id, "read"); !strings.Contains(body, "-32071") {
		t.Errorf("a call: %d %s", resp.StatusCode, body)
	}
	listen := p.b.session(t, http.MethodGet, id)
	if listen.StatusCode != 200 || !strings.HasPrefix(listen.Header.Get("Content-Type"), "text/event-stream") {
		t.Fatalf("%d %v", listen.StatusCode, listen.Header)
	}
	if ev, err := mcp.NewEventReader(listen.Body, 1<<10).Next(); err != nil || !ev.Comment { // an agent that is gone shows in nothing else
		t.Fatalf("%v %q", err, ev.Raw)
	}
	p.set(func() { p.lost = false })
	if body := text(t, listen); body != "" { // it ends, so that the agent comes back
		t.Errorf("%q", body)
	}
	if resp, body := p.b.inSession(t, id, "charge"); resp.StatusCode != 200 || !strings.Contains(body, `"text":"n"`) {
		t.Errorf("afterwards: %d %s", resp.StatusCode, body)
	}
}

// TestShutdownSendsCallsElsewhere: a gateway that ends refuses, and the session goes on at once where it is claimed.
func TestShutdownSendsCallsElsewhere(t *testing.T) {
	p := startPair(t, stateful("n"))
	id := p.a.openSession(t)
	m, _ := p.a.gateway.OwnSessions("tools")
	p.door["a"] = func(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
		serve(w, r)
		p.set(func() { p.dead["a"] = true }) // it leaves
	}
	if err := m.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if resp, body := p.b.inSession(t, id, "charge"); resp.StatusCode != 200 || !strings.Contains(body, `"text":"n"`) {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}
