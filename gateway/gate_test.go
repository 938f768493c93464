package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/route"
	"github.com/quorate/quorate/internal/authority"
)

// side is a gateway's authority as a test wants it.
type side struct {
	mode  authority.Mode
	open  atomic.Bool
	epoch atomic.Uint64
	// closes: the gate closes when it has let a write pass as it was routed.
	closes atomic.Bool
}

func majority(epoch uint64) *side {
	s := &side{}
	s.open.Store(true)
	s.epoch.Store(epoch)
	return s
}

func minority(mode authority.Mode) *side { return &side{mode: mode} }

func (s *side) Allow() bool   { return s.open.Load() }
func (s *side) Fence() uint64 { return s.epoch.Load() }

func (s *side) Decide(a authority.Asked) authority.Decision {
	d := authority.Decide(s.open.Load(), s.mode, a)
	if s.closes.Load() {
		s.open.Store(false)
	}
	return d
}

func governed(a Authority) func(*Config, *Service) {
	return func(c *Config, _ *Service) { c.Authority = a }
}

// heard is a node that notes what writes and reads tell it.
type heard struct {
	*node
	mu   sync.Mutex
	said []string
}

func hearing(n *node) *heard {
	h, serve := &heard{node: n}, n.serve
	n.serve = func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		h.said = append(h.said, strings.Join(r.Header.Values(mcp.HeaderFence), "+")+"/"+r.Header.Get(mcp.HeaderVia))
		h.mu.Unlock()
		serve(w, r)
	}
	return h
}

// last returns epoch and gateways of the node's last request.
func (h *heard) last() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.said) == 0 {
		return ""
	}
	return h.said[len(h.said)-1]
}

// request makes a modern request of any method.
func (s *setup) request(t *testing.T, method, name string, header ...string) *http.Response {
	t.Helper()
	param := ""
	if key := mcp.NameParam(method); key != "" {
		param = `"` + key + `":"` + name + `",`
		header = append(header, "Mcp-Name", name)
	}
	return s.post(t, `{"jsonrpc":"2.0","id":7,"method":"`+method+`","params":{`+param+modernMeta+`}}`,
		append(header, "MCP-Protocol-Version", "2026-07-28", "Mcp-Method", method)...)
}

// listening answers a listen stream with its acknowledgement, and the rest as ok does.
func listening(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Mcp-Method") != mcp.MethodListen {
		ok(w, r)
		return
	}
	events(w, `{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":7},"notifications":{}}}`)
	<-r.Context().Done()
}

const (
	passes  = "passes"
	marked  = "marked"
	refused = "refused"
)

// verdict reads an answer as one of the three.
func verdict(t *testing.T, resp *http.Response, method string) string {
	t.Helper()
	mark := resp.Header.Get(mcp.HeaderAuthority)
	if strings.HasPrefix(resp.Header.Get(mcp.HeaderRefused), "no_authority/minority") {
		body := text(t, resp)
		status := http.StatusOK
		if method == mcp.MethodInitialize || method == mcp.MethodDiscover {
			status = http.StatusServiceUnavailable
		}
		if resp.StatusCode != status || !strings.Contains(body, `"code":-32071,`) || !strings.Contains(body, `"reason":"minority","retry_after_ms":1000`) || mark != "" {
			t.Errorf("%s: %d %q %s", method, resp.StatusCode, mark, body)
		}
		return refused
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusAccepted {
		t.Errorf("%s: %d %s", method, resp.StatusCode, text(t, resp))
	}
	switch mark {
	case "":
		return passes
	case mcp.Minority:
		return marked
	}
	return mark
}

// What passes a closed gate, by mode and by what is asked; in the modern era.
func TestGateOfTheModernEra(t *testing.T) {
	for _, c := range []struct{ method, name, readOnly, reject, standalone string }{
		{mcp.MethodDiscover, "", marked, marked, marked},
		{mcp.MethodToolsList, "", marked, refused, marked},
		{mcp.MethodToolsCall, "read", marked, refused, marked},
		{mcp.MethodResourcesRead, "a:b", marked, refused, marked},
		{mcp.MethodPromptsGet, "p", marked, refused, marked},
		{mcp.MethodTasksGet, "t", marked, refused, marked},
		{mcp.MethodListen, "", marked, refused, marked},
		{mcp.MethodToolsCall, "set", refused, refused, refused},
		{mcp.MethodToolsCall, "charge", refused, refused, refused},
		{mcp.MethodToolsCall, "nobody-knows-it", refused, refused, refused},
		{mcp.MethodTasksUpdate, "t", refused, refused, refused},
		{mcp.MethodTasksCancel, "t", refused, refused, refused},
		{"made/up", "", refused, refused, refused},
	} {
		for mode, want := range map[authority.Mode]string{authority.ReadOnly: c.readOnly, authority.Reject: c.reject, authority.Standalone: c.standalone} {
			t.Run(fmt.Sprintf("%s %s %s", mode, c.method, c.name), func(t *testing.T) {
				n := modern("a", listening)
				for _, a := range []Authority{minority(mode), majority(3), nil} {
					before := n.calls.Load()
					s := start(t, governed(a), n)
					resp := s.request(t, c.method, c.name)
					expect := want
					if a == nil || a.Allow() {
						expect = passes
					}
					if got := verdict(t, resp, c.method); got != expect || n.calls.Load() == before != (got == refused) {
						t.Errorf("authority %v: %s, want %s; the node saw %d", a, got, expect, n.calls.Load()-before)
					}
					resp.Body.Close()
				}
			})
		}
	}
}

// The same in a legacy session, whose own state is this gateway's to change.
func TestGateOfASession(t *testing.T) {
	for _, c := range []struct{ method, params, readOnly, reject, standalone string }{
		{mcp.MethodPing, `{}`, marked, marked, marked},
		{mcp.MethodToolsCall, `{"name":"read","arguments":{}}`, marked, refused, marked},
		{mcp.MethodSetLevel, `{"level":"info"}`, marked, refused, marked},
		{mcp.MethodSubscribe, `{"uri":"a:b"}`, marked, refused, marked},
		{mcp.MethodUnsubscribe, `{"uri":"a:b"}`, marked, refused, marked},
		{mcp.MethodToolsCall, `{"name":"set","arguments":{}}`, refused, refused, refused},
		{mcp.MethodToolsCall, `{"name":"charge","arguments":{}}`, refused, refused, refused},
		{"made/up", `{}`, refused, refused, refused},
	} {
		for mode, want := range map[authority.Mode]string{authority.ReadOnly: c.readOnly, authority.Reject: c.reject, authority.Standalone: c.standalone} {
			t.Run(fmt.Sprintf("%s %s %s", mode, c.method, c.params), func(t *testing.T) {
				n, a := stateful("a"), majority(3)
				a.mode = mode
				s := &site{setup: start(t, governed(a), n)}
				id := s.open(t)
				for _, open := range []bool{true, false} {
					a.open.Store(open)
					before, expect := n.calls.Load(), want
					if open {
						expect = passes
					}
					resp := s.post(t, `{"jsonrpc":"2.0","id":2,"method":"`+c.method+`","params":`+c.params+`}`, "Mcp-Session-Id", id, "MCP-Protocol-Version", "2025-06-18")
					if got := verdict(t, resp, c.method); got != expect || n.calls.Load() == before != (got == refused) {
						t.Errorf("open %t: %s, want %s; the node saw %d", open, got, expect, n.calls.Load()-before)
					}
				}
				if got := s.gateway.refusals(); got != btoi(want == refused) {
					t.Errorf("%d refusals are counted", got)
				}
			})
		}
	}
}

func btoi(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// refusals counts the requests that ended as refused.
func (g *Gateway) refusals() (n uint64) {
	for _, f := range g.Figures() {
		for _, r := range f.Requests {
			if r.Outcome == "refused" {
				n += r.Count
			}
		}
	}
	return n
}

// Sessions begin and end in a minority, unless it rejects; then a client must take it for an outage.
func TestSessionInAMinority(t *testing.T) {
	for mode, want := range map[authority.Mode]string{authority.ReadOnly: marked, authority.Standalone: marked, authority.Reject: refused} {
		n := stateful("a")
		s := &site{setup: start(t, governed(minority(mode)), n)}
		resp := s.post(t, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}`)
		if got := verdict(t, resp, mcp.MethodInitialize); got != want {
			t.Errorf("%s: initialize is %s", mode, got)
		}
		id := resp.Header.Get("Mcp-Session-Id")
		for _, method := range []string{http.MethodGet, http.MethodDelete} {
			r, err := http.NewRequest(method, s.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp := s.do(t, r, "Mcp-Session-Id", id, "MCP-Protocol-Version", "2025-06-18")
			body := text(t, resp)
			if mode == authority.Reject {
				if resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "-32071") {
					t.Errorf("%s: %s: %d %s", mode, method, resp.StatusCode, body)
				}
			} else if resp.Header.Get(mcp.HeaderAuthority) != mcp.Minority || strings.Contains(body, "-32071") {
				t.Errorf("%s: %s: %d %v %s", mode, method, resp.StatusCode, resp.Header, body)
			}
		}
	}
}

// The gate closes when the write is on its way already: nothing goes out, in every path.
func TestGateClosesBehindRouting(t *testing.T) {
	t.Run("modern", func(t *testing.T) {
		n, a := modern("a", ok), majority(3)
		s := start(t, governed(a), n)
		a.closes.Store(true)
		wantError(t, s.callTool(t, "charge"), 200, mcp.CodeNoAuthority, "7")
		if n.calls.Load() != 0 || s.gateway.refusals() != 1 {
			t.Errorf("the node saw %d; %d refused", n.calls.Load(), s.gateway.refusals())
		}
	})
	t.Run("session", func(t *testing.T) {
		n, a := stateful("a"), majority(3)
		s := &site{setup: start(t, governed(a), n)}
		id := s.open(t)
		before := n.calls.Load()
		a.closes.Store(true)
		resp := s.post(t, `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"charge","arguments":{}}}`, "Mcp-Session-Id", id, "MCP-Protocol-Version", "2025-06-18")
		wantError(t, resp, 200, mcp.CodeNoAuthority, "2")
		if n.calls.Load() != before || s.gateway.refusals() != 1 {
			t.Errorf("the node saw %d; %d refused", n.calls.Load()-before, s.gateway.refusals())
		}
		a.open.Store(true)
		a.closes.Store(false)
		if _, body := s.callIn(t, id); !strings.Contains(body, `"a"`) {
			t.Errorf("the session is gone: %s", body)
		}
	})
}

// The gate closes between two attempts: refused when the first reached nobody, unknown when it may have.
func TestGateClosesBetweenAttempts(t *testing.T) {
	for _, c := range []struct {
		tool string
		code int
	}{{"set", mcp.CodeOutcomeUnknown}, {"charge", mcp.CodeOutcomeUnknown}} {
		a := majority(3)
		lose := func(w http.ResponseWriter, _ *http.Request) {
			a.open.Store(false)
			hangUp(w)
		}
		first, second := modern("a", lose), modern("b", lose)
		s := start(t, governed(a), first, second)
		wantError(t, s.callTool(t, c.tool), 200, c.code, "7")
		if n := first.calls.Load() + second.calls.Load(); n != 1 {
			t.Errorf("%s: %d attempts", c.tool, n)
		}
	}
}

func TestGateOfBatches(t *testing.T) {
	n := &node{id: "a", eras: 1, serve: func(w http.ResponseWriter, r *http.Request) { answerJSON(w, `[]`) }}
	n.eras = modern("x", nil).eras
	const read, write, initialized = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read"}}`,
		`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"charge"}}`, `{"jsonrpc":"2.0","method":"notifications/initialized"}`
	const other = `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"set"}}`
	a := minority(authority.ReadOnly)
	s := start(t, func(c *Config, svc *Service) {
		c.Authority = a
		svc.Routes = routesOf(t, route.Route{Match: route.Match{Tool: "set"}, Exempt: true})
	}, n)
	for batch, passes := range map[string]bool{
		"[" + read + "]": true, "[" + read + "," + initialized + "]": true, "[" + read + "," + other + "]": true,
		"[" + write + "]": false, "[" + read + "," + write + "]": false, "[" + other + "," + write + "," + read + "]": false, "[" + read + ",7]": false,
	} {
		before := n.calls.Load()
		resp := s.post(t, batch, "MCP-Protocol-Version", "2025-03-26")
		body := text(t, resp)
		if came := n.calls.Load() > before; came != passes || passes != (resp.Header.Get(mcp.HeaderAuthority) == mcp.Minority) {
			t.Errorf("%s: the node saw it: %t; %d %s", batch, came, resp.StatusCode, body)
		}
	}
}

func routesOf(t *testing.T, routes ...route.Route) *route.Matcher {
	t.Helper()
	m, err := route.Compile(routes)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// A route with authority: none lets writes pass a closed gate, without an epoch: no fence is to stop them.
func TestExemptRoute(t *testing.T) {
	for mode, want := range map[authority.Mode]string{authority.ReadOnly: marked, authority.Standalone: marked, authority.Reject: refused} {
		n, a := hearing(modern("a", ok)), majority(9)
		a.mode = mode
		s := start(t, func(c *Config, svc *Service) {
			c.Authority = a
			svc.Routes = routesOf(t, route.Route{Match: route.Match{Tool: "charge"}, Exempt: true})
		}, n.node)
		if got := verdict(t, s.callTool(t, "charge"), ""); got != passes || n.last() != "/" {
			t.Errorf("%s, open: %s, the node was told %q", mode, got, n.last())
		}
		a.open.Store(false)
		if got := verdict(t, s.callTool(t, "charge"), ""); got != want || n.last() != "/" {
			t.Errorf("%s: %s, the node was told %q", mode, got, n.last())
		}
		if got := verdict(t, s.callTool(t, "set"), ""); got != refused {
			t.Errorf("%s: a tool of no such route: %s", mode, got)
		}
	}
}

// Writes name the epoch and the gateways they passed, reads do not; an agent cannot.
func TestEpochOfWrites(t *testing.T) {
	n, a := hearing(modern("a", ok)), majority(12)
	s := start(t, governed(a), n.node)
	own := []string{mcp.HeaderFence, "99", mcp.HeaderVia, "x"}
	for _, c := range []struct {
		tool  string
		epoch uint64
		want  string
	}{{"charge", 12, "12/gw"}, {"set", 13, "13/gw"}, {"read", 13, "/"}, {"charge", 0, "/gw"}} {
		a.epoch.Store(c.epoch)
		if got := verdict(t, s.request(t, mcp.MethodToolsCall, c.tool, own...), ""); got != passes || n.last() != c.want {
			t.Errorf("%s at %d: %s, the node was told %q, want %q", c.tool, c.epoch, got, n.last(), c.want)
		}
	}
	ungoverned := start(t, nil, n.node)
	if verdict(t, ungoverned.request(t, mcp.MethodToolsCall, "charge", own...), ""); n.last() != "/" {
		t.Errorf("without authority the node was told %q", n.last())
	}

	legacy := hearing(stateful("s"))
	in := &site{setup: start(t, governed(a), legacy.node)}
	id := in.open(t)
	a.epoch.Store(14)
	in.post(t, `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"charge","arguments":{}}}`, "Mcp-Session-Id", id, "MCP-Protocol-Version", "2025-06-18", mcp.HeaderFence, "99")
	if legacy.last() != "14/gw" {
		t.Errorf("a session's write told %q", legacy.last())
	}
	if in.callIn(t, id); legacy.last() != "/" {
		t.Errorf("a session's read told %q", legacy.last())
	}
}

// A node that knows a later epoch refuses; that is no conflict of the node's own, and nothing is tried elsewhere.
func TestNodeRefusesTheEpoch(t *testing.T) {
	stale := func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(mcp.HeaderFence) == "" {
			ok(w, r)
			return
		}
		w.Header().Set(mcp.HeaderFence, "20")
		http.Error(w, "stale", http.StatusConflict)
	}
	first, second, a := modern("a", stale), modern("b", stale), majority(12)
	s := start(t, governed(a), first, second)
	resp := s.callTool(t, "set")
	if got := resp.Header.Get(mcp.HeaderRefused); got != "no_authority/fenced" || resp.Header.Get(mcp.HeaderFence) != "" {
		t.Errorf("header %v", resp.Header)
	}
	wantError(t, resp, 200, mcp.CodeNoAuthority, "7")
	if n := first.calls.Load() + second.calls.Load(); n != 1 || s.gateway.refusals() != 1 {
		t.Errorf("%d attempts, %d refusals counted", n, s.gateway.refusals())
	}
	if got := verdict(t, s.callTool(t, "read"), ""); got != passes {
		t.Errorf("a read afterwards: %s", got)
	}
}

// A conflict without an epoch is the node's own business.
func TestConflictOfANodesOwnPasses(t *testing.T) {
	n := modern("a", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusConflict) })
	if resp := start(t, governed(majority(12)), n).callTool(t, "set"); resp.StatusCode != http.StatusConflict {
		t.Errorf("status %d", resp.StatusCode)
	}
}
