package gateway

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/route"
	"github.com/quorate/quorate/regions"
)

// stateful is a legacy node that keeps sessions in memory and says where a call was run.
func stateful(id string) *node {
	var mu sync.Mutex
	known := map[string]bool{}
	n := &node{id: regions.NodeID(id), eras: regions.Legacy, stateful: true}
	n.serve = func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		var m struct {
			ID     json.RawMessage `json:"id"`
			Method string          `json:"method"`
		}
		body, err := io.ReadAll(r.Body)
		if err != nil || json.Unmarshal(body, &m) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		session := r.Header.Get("Mcp-Session-Id")
		switch {
		case m.Method == "initialize":
			session = fmt.Sprintf("%s-%d", id, len(known))
			known[session] = true
			w.Header().Set("Mcp-Session-Id", session)
			answerJSON(w, `{"jsonrpc":"2.0","id":`+string(m.ID)+`,"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"n","version":"1"}}}`)
		case !known[session]:
			w.WriteHeader(http.StatusNotFound)
		case m.ID == nil:
			w.WriteHeader(http.StatusAccepted)
		default:
			answerJSON(w, `{"jsonrpc":"2.0","id":`+string(m.ID)+`,"result":{"content":[{"type":"text","text":"`+id+`"}]}}`)
		}
	}
	return n
}

// open begins a legacy session and returns its id.
func (s *site) open(t *testing.T) string {
	t.Helper()
	resp := s.post(t, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}`)
	if body := text(t, resp); resp.StatusCode != 200 {
		t.Fatalf("initialize: %d %s", resp.StatusCode, body)
	}
	id := resp.Header.Get("Mcp-Session-Id")
	s.post(t, `{"jsonrpc":"2.0","method":"notifications/initialized"}`, "Mcp-Session-Id", id, "MCP-Protocol-Version", "2025-06-18")
	return id
}

func (s *site) callIn(t *testing.T, session string) (*http.Response, string) {
	t.Helper()
	resp := s.post(t, `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"read","arguments":{}}}`, "Mcp-Session-Id", session, "MCP-Protocol-Version", "2025-06-18")
	return resp, text(t, resp)
}

// A session whose region is lost goes on in another region under the same id, while its own gateway lives.
func TestSessionMovesToAnotherRegion(t *testing.T) {
	a, b, c := at("a"), at("b", stateful("b1")), at("c", stateful("c1"))
	startSites(t, func(_, to string) time.Duration {
		return map[string]time.Duration{"b": 20, "c": 80}[to] * time.Millisecond
	}, a, b, c)
	id := a.open(t)
	resp, body := a.callIn(t, id)
	if !strings.Contains(body, `"b1"`) || resp.Header.Get(mcp.HeaderRegion) != "b" || resp.Header.Get(mcp.HeaderSpilled) != "" {
		t.Fatalf("before: %s %v", body, resp.Header)
	}
	b.cut.Store(true)
	b.forward.CloseClientConnections()
	resp, body = a.callIn(t, id)
	if !strings.Contains(body, `"c1"`) || resp.Header.Get(mcp.HeaderRegion) != "c" || resp.Header.Get(mcp.HeaderSpilled) != "slow" {
		t.Errorf("after: %s %v", body, resp.Header)
	}
	if n := a.gateway.Figures()[0].SessionsMigrated; n != 1 {
		t.Errorf("%d sessions migrated", n)
	}
}

// A session whose region lost its pool, but not its gateway, moves too.
func TestSessionMovesWhenItsRegionHasNoNodeLeft(t *testing.T) {
	a, b, c := at("a"), at("b", stateful("b1")), at("c", stateful("c1"))
	startSites(t, func(_, to string) time.Duration {
		return map[string]time.Duration{"b": 20, "c": 80}[to] * time.Millisecond
	}, a, b, c)
	id := a.open(t)
	b.world.dead = func(string) bool { return true }
	b.nodes[0].server.CloseClientConnections()
	b.nodes[0].server.Close()
	if _, body := a.callIn(t, id); !strings.Contains(body, `"c1"`) {
		t.Errorf("after: %s", body)
	}
}

// A session leaves a region that gives its traffic away.
func TestSessionLeavesAnEvacuatedRegion(t *testing.T) {
	a, b, c := at("a"), at("b", stateful("b1")), at("c", stateful("c1"))
	rtt := func(_, to string) time.Duration {
		return map[string]time.Duration{"b": 20, "c": 80}[to] * time.Millisecond
	}
	startSites(t, rtt, a, b, c)
	id := a.open(t)
	a.far = map[string]regions.Region{"b": {State: regions.Off}}
	a.publish(t, rtt, []*site{a, b, c})
	if resp, body := a.callIn(t, id); !strings.Contains(body, `"c1"`) {
		t.Errorf("after: %s %v", body, resp.Header)
	}
}

// A session goes around a cut link, and comes to the region that has the nodes.
func TestSessionGoesAroundACutLink(t *testing.T) {
	a, b, c := at("a"), at("b", stateful("b1")), at("c")
	a.silent = map[string]bool{"b": true}
	startSites(t, near(30), a, b, c)
	id := a.open(t)
	for range 3 {
		if resp, body := a.callIn(t, id); !strings.Contains(body, `"b1"`) || resp.Header.Get(mcp.HeaderRegion) != "b" {
			t.Errorf("%s %v", body, resp.Header)
		}
	}
}

// Sessions leave a region under evacuation as its share shrinks, not all at once, and none goes back to it.
func TestSessionsLeaveBitByBit(t *testing.T) {
	a, b, c := at("a"), at("b", stateful("b1")), at("c", stateful("c1"))
	rtt := func(_, to string) time.Duration {
		return map[string]time.Duration{"b": 20, "c": 80}[to] * time.Millisecond
	}
	startSites(t, rtt, a, b, c)
	const sessions = 60
	ids := make([]string, sessions)
	for i := range ids {
		ids[i] = a.open(t)
	}
	var left []int
	for _, share := range []float64{1, 0.6, 0.3, 0} {
		a.far = map[string]regions.Region{"b": {State: regions.Evacuating, Share: share}}
		a.publish(t, rtt, []*site{a, b, c})
		inB := 0
		for _, id := range ids {
			if resp, _ := a.callIn(t, id); resp.Header.Get(mcp.HeaderRegion) == "b" {
				inB++
			}
		}
		left = append(left, inB)
	}
	t.Logf("of %d sessions in b at shares 1, 0.6, 0.3, 0: %v", sessions, left)
	if left[0] != sessions || left[1] >= sessions || left[2] >= left[1] || left[2] == 0 || left[3] != 0 {
		t.Errorf("%v", left)
	}
	a.gateway.Close(t.Context()) // a call can be answered before the move it waited for is counted
	if n := a.gateway.Figures()[0].SessionsMigrated; n != sessions {
		t.Errorf("%d migrations of %d sessions", n, sessions)
	}
}

// A route's deadline does not count in a legacy session: it would cut the stream of a call that goes on.
func TestDeadlineCutsNoStreamOfASession(t *testing.T) {
	late := make(chan struct{})
	n := modern("a", nil)
	n.stateful = true
	n.serve = func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Mcp-Session-Id", "upstream")
		if strings.Contains(string(body), "initialize") {
			answerJSON(w, `{"jsonrpc":"2.0","id":7,"result":{"protocolVersion":"2025-06-18","capabilities":{}}}`)
			return
		}
		events(w, `{"jsonrpc":"2.0","method":"notifications/message","params":{}}`)
		<-late
		events(w, `{"jsonrpc":"2.0","id":7,"result":{}}`)
	}
	s := start(t, func(_ *Config, v *Service) {
		v.Routes = routesOf(t, route.Route{Match: route.Match{Tool: "charge"}, Class: regions.Fast, Deadline: time.Nanosecond})
	}, n)
	opened := s.post(t, `{"jsonrpc":"2.0","id":7,"method":"initialize","params":{"protocolVersion":"2025-06-18"}}`)
	resp := s.post(t, `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"charge"}}`,
		"Mcp-Session-Id", opened.Header.Get("Mcp-Session-Id"))
	close(late)
	if got := text(t, resp); !strings.Contains(got, `"result"`) {
		t.Errorf("got %q", got)
	}
}
