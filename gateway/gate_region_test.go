package gateway

import (
	"net/http"
	"strings"
	"testing"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/internal/authority"
)

// Both gateways of a request that is passed on ask their own gate, and the receiver refuses an epoch that is over.
func TestGatesOfAForwardedWrite(t *testing.T) {
	for name, c := range map[string]struct {
		a, b   Authority
		write  string // verdict of a write
		read   string
		reason string
		told   string // what the node is told of the write
	}{
		"both may write":               {majority(5), majority(5), passes, passes, "", "5/gw-a,gw-b"},
		"neither is governed":          {nil, nil, passes, passes, "", "/"},
		"only the first is":            {majority(5), nil, passes, passes, "", "/"},
		"only the second is":           {nil, majority(6), passes, passes, "", "6/gw-a,gw-b"},
		"the first is in a minority":   {minority(authority.ReadOnly), majority(5), refused, marked, "minority", ""},
		"the second is in a minority":  {majority(5), minority(authority.ReadOnly), refused, marked, "minority", ""},
		"the second rejects":           {majority(5), minority(authority.Reject), refused, "", "minority", ""},
		"the first is behind":          {majority(5), majority(6), refused, passes, "fenced", ""},
		"the second is behind":         {majority(7), majority(6), passes, passes, "", "6/gw-a,gw-b"},
		"both are in one minority":     {minority(authority.Standalone), minority(authority.ReadOnly), refused, marked, "minority", ""},
		"the first names no epoch yet": {majority(0), majority(6), passes, passes, "", "6/gw-a,gw-b"},
	} {
		t.Run(name, func(t *testing.T) {
			n := hearing(modern("b1", ok))
			a, b := at("a"), at("b", n.node)
			a.authority, b.authority = c.a, c.b
			startSites(t, near(20), a, b)
			resp := a.callTool(t, "charge")
			why := strings.TrimPrefix(resp.Header.Get(mcp.HeaderRefused), "no_authority/")
			if why != c.reason || n.last() != c.told || resp.Header.Get(mcp.HeaderFence) != "" {
				t.Errorf("a write: refused for %q, want %q; the node was told %q, want %q", why, c.reason, n.last(), c.told)
			}
			if c.write == refused {
				wantError(t, resp, 200, mcp.CodeNoAuthority, "7")
				if got := a.gateway.refusals(); got != 1 {
					t.Errorf("%d refusals are counted", got)
				}
			}
			resp = a.callTool(t, "read")
			if c.read == "" {
				wantError(t, resp, 200, mcp.CodeNoAuthority, "7")
			} else if got := verdict(t, resp, ""); got != c.read || n.last() == c.told && c.told != "/" {
				t.Errorf("a read: %s, want %s; the node was told %q", got, c.read, n.last())
			}
			if state := a.gateway.Regions()[0].Breaker; state != "closed" {
				t.Errorf("the region's breaker is %s", state)
			}
		})
	}
}

// A write that another region's gateway may not let through goes to the next region, which may.
func TestWriteGoesAroundAMinority(t *testing.T) {
	a, b, c := at("a"), at("b", modern("b1", ok)), at("c", modern("c1", ok))
	a.authority, b.authority, c.authority = majority(5), minority(authority.ReadOnly), majority(5)
	startSites(t, near(20), a, b, c)
	for range 5 {
		if resp := a.callTool(t, "charge"); resp.Header.Get(mcp.HeaderRegion) != "c" || resp.Header.Get(mcp.HeaderAuthority) != "" || text(t, resp) != result {
			t.Fatalf("header %v", resp.Header)
		}
	}
	if a.passed.Load() != 0 || b.nodes[0].calls.Load() != 0 {
		t.Errorf("the minority's node saw %d", b.nodes[0].calls.Load())
	}
}

// A session that another region's gateway keeps obeys both gates, and stays where it is.
func TestGatesOfAForwardedSession(t *testing.T) {
	n := hearing(stateful("b1"))
	a, b := at("a"), at("b", n.node)
	first, second := majority(5), majority(5)
	a.authority, b.authority = first, second
	startSites(t, near(20), a, b)
	id := a.open(t)
	write := func() *http.Response {
		return a.post(t, `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"charge","arguments":{}}}`, "Mcp-Session-Id", id, "MCP-Protocol-Version", "2025-06-18")
	}
	if got := verdict(t, write(), ""); got != passes || n.last() != "5/gw-a,gw-b" {
		t.Errorf("%s, the node was told %q", got, n.last())
	}
	for _, closed := range [][]*side{{first}, {second}, {first, second}} {
		for _, s := range closed {
			s.open.Store(false)
		}
		before, passed := n.calls.Load(), b.passed.Load()
		if verdict(t, write(), "") != refused || n.calls.Load() != before || b.passed.Load() > passed+1 {
			t.Errorf("a write passes a closed gate, or was passed on %d times", b.passed.Load()-passed)
		}
		if resp, body := a.callIn(t, id); !strings.Contains(body, `"b1"`) || resp.Header.Get(mcp.HeaderAuthority) != mcp.Minority || len(resp.Header.Values(mcp.HeaderAuthority)) != 1 {
			t.Errorf("a read in a minority: %v %s", resp.Header, body)
		}
		first.open.Store(true)
		second.open.Store(true)
	}
	second.epoch.Store(6)
	resp := write()
	if resp.Header.Get(mcp.HeaderRefused) != "no_authority/fenced" {
		t.Errorf("an epoch that is over: %v", resp.Header)
	}
	wantError(t, resp, 200, mcp.CodeNoAuthority, "2")
	first.epoch.Store(6)
	if got := verdict(t, write(), ""); got != passes || n.last() != "6/gw-a,gw-b" {
		t.Errorf("%s, the node was told %q", got, n.last())
	}
	if moved := a.gateway.Figures()[0].SessionsMigrated; moved != 0 {
		t.Errorf("the session moved %d times", moved)
	}
}

// A gateway that rejects takes up no session of another one, until it may write again.
func TestAdoptionAsksTheGate(t *testing.T) {
	a, b := at("a", stateful("a1")), at("b", stateful("b1"))
	rejecting := minority(authority.Reject)
	b.authority = rejecting
	startSites(t, near(20), a, b)
	id := a.open(t)
	ask, err := http.NewRequest(http.MethodPost, b.forward.URL+"/mcp", strings.NewReader(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	resp := b.do(t, ask, mcp.HeaderVia, "gw-a", mcp.HeaderAdopt, strings.Repeat("0", 32), "X-Test-Origin", "a")
	wantError(t, resp, http.StatusServiceUnavailable, mcp.CodeNoAuthority, "null")

	a.world.dead = func(string) bool { return true }
	a.nodes[0].server.CloseClientConnections()
	a.nodes[0].server.Close()
	if _, body := a.callIn(t, id); !strings.Contains(body, `"code":-3207`) {
		t.Errorf("in a minority: %s", body)
	}
	rejecting.open.Store(true)
	if _, body := a.callIn(t, id); !strings.Contains(body, `"b1"`) {
		t.Errorf("afterwards: %s", body)
	}
}
