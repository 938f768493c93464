package edge

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/quorate/quorate/internal/admin"
)

// newStateful is a node that keeps sessions.
func newStateful(t *testing.T) string {
	t.Helper()
	s := mcp.NewServer(&mcp.Implementation{Name: "node", Version: "1"}, nil)
	type none struct{}
	mcp.AddTool(s, &mcp.Tool{Name: "look", Annotations: &mcp.ToolAnnotations{ReadOnlyHint: true}}, func(context.Context, *mcp.CallToolRequest, none) (*mcp.CallToolResult, none, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "looked"}}}, none{}, nil
	})
	ts := httptest.NewServer(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s }, nil))
	t.Cleanup(func() {
		for one := range s.Sessions() { // they outlive gateways
			_ = one.Close()
		}
		ts.Close()
	})
	return ts.URL + "/mcp"
}

// legacy sends a message of a session to a region's gateway.
func (w *world) legacy(t *testing.T, region, method, session, body string) (status int, id, answer string) {
	t.Helper()
	header := http.Header{"Mcp-Protocol-Version": {"2025-06-18"}, "Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}}
	if session != "" {
		header.Set("Mcp-Session-Id", session)
	}
	got := exchange(t, method, "http://"+w.edges[region].ListenAddr()+"/mcp", body, header)
	return got.code, got.header.Get("Mcp-Session-Id"), got.body
}

const (
	opens = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"agent","version":"1"}}}`
	looks = `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"look","arguments":{}}}`
)

// goesOn asks a gateway until it answers the session's call as a node does; told to begin anew is a failure.
func (w *world) goesOn(t *testing.T, region, session string) {
	t.Helper()
	await(t, "the session goes on at "+region, func() bool {
		status, _, answer := w.legacy(t, region, http.MethodPost, session, looks)
		if status == http.StatusNotFound {
			t.Fatalf("%s does not know the session: %s", region, answer)
		}
		return status == http.StatusOK && strings.Contains(answer, "looked")
	})
}

func (w *world) session(t *testing.T, at, name string) (s admin.Session) {
	t.Helper()
	status, b := w.admin(t, at, http.MethodGet, "/v1/sessions/"+name, "")
	if status == http.StatusOK {
		if err := json.Unmarshal(b, &s); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// TestSessionsOutliveGateways: a session is served wherever its agent comes, moves along when the agent stays, is claimed
// when its gateway ends, and is gone for good when it is deleted. What is asserted of copies holds for both strategies.
func TestSessionsOutliveGateways(t *testing.T) {
	for _, strategy := range []string{"async", "quorum"} {
		t.Run(strategy, func(t *testing.T) {
			w := newWorldWith(t, map[string]string{"a": newStateful(t), "b": newStateful(t), "c": newStateful(t)}, func(string) string {
				return "control: {expect: [gw-a, gw-b, gw-c]}\nreplication: {strategy: " + strategy + "}\n"
			})
			for region, e := range w.edges {
				await(t, region+" is ready", func() bool { return len(e.Settled())+len(e.Ready()) == 0 && e.gate.node.Allow() })
			}
			status, id, answer := w.legacy(t, "a", http.MethodPost, "", opens)
			if status != http.StatusOK || id == "" {
				t.Fatalf("%d %s", status, answer)
			}
			w.legacy(t, "a", http.MethodPost, id, `{"jsonrpc":"2.0","method":"notifications/initialized"}`)
			w.goesOn(t, "a", id)
			w.goesOn(t, "b", id)
			s := w.session(t, "c", id)
			if s.Owner != "gw-a" || s.Ballot != 0 || s.Strategy != strategy || s.State == "" {
				t.Errorf("after a relayed call: %+v", s)
			}
			if by := w.session(t, "a", s.Session); by.Session != s.Session && strategy == "async" {
				t.Errorf("by its hash: %+v", by)
			}
			await(t, "the session follows its agent", func() bool {
				w.goesOn(t, "b", id)
				return w.session(t, "a", id).Owner == "gw-b"
			})
			w.goesOn(t, "a", id)
			if err := w.edges["b"].Shutdown(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.goesOn(t, "c", id)
			await(t, "it is another's", func() bool { s := w.session(t, "a", id); return s.Owner != "gw-b" && s.Ballot > 0 })
			if status, _, answer := w.legacy(t, "a", http.MethodDelete, id, ""); status >= 300 {
				t.Fatalf("DELETE: %d %s", status, answer)
			}
			for _, region := range []string{"a", "c"} {
				if status, _, _ := w.legacy(t, region, http.MethodPost, id, looks); status != http.StatusNotFound {
					t.Errorf("%s answers %d for a deleted session", region, status)
				}
			}
			w.start(t, "b")
			await(t, "b returns", func() bool { return len(w.edges["b"].Settled()) == 0 && w.edges["b"].gate.node.Allow() })
			if status, _, _ := w.legacy(t, "b", http.MethodPost, id, looks); status != http.StatusNotFound {
				t.Errorf("b answers %d for a deleted session", status)
			}
			var a admin.Agreement
			await(t, "copies are the same everywhere", func() bool {
				status, b := w.admin(t, "c", http.MethodPost, "/v1/cluster/verify", "")
				return status == http.StatusOK && json.Unmarshal(b, &a) == nil && a.Agreed && len(a.Copies) == 3
			})
			if status, b := w.admin(t, "a", http.MethodGet, "/v1/sessions", ""); status != http.StatusOK || !bytes.Contains(b, []byte(`"kept":true`)) {
				t.Errorf("/v1/sessions: %d %s", status, b)
			}
		})
	}
}

// Without copies a session ends with its gateway: it is the copies that carry it on.
func TestSessionsWithoutCopies(t *testing.T) {
	w := newWorldWith(t, map[string]string{"a": newStateful(t), "b": newStateful(t), "c": newStateful(t)}, func(string) string {
		return "control: {expect: [gw-a, gw-b, gw-c]}\nreplication: {factor: 0}\n"
	})
	for region, e := range w.edges {
		await(t, region+" is ready", func() bool { return len(e.Settled())+len(e.Ready()) == 0 && e.gate.node.Allow() })
	}
	_, id, _ := w.legacy(t, "a", http.MethodPost, "", opens)
	w.goesOn(t, "b", id)
	if err := w.edges["a"].Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	await(t, "the session is lost", func() bool {
		status, _, _ := w.legacy(t, "b", http.MethodPost, id, looks)
		return status == http.StatusNotFound
	})
}

// A fleet of one with a data_dir has its sessions after a restart.
func TestSessionsOutliveARestart(t *testing.T) {
	w := newWorldWith(t, map[string]string{"a": newStateful(t)}, func(string) string { return "log: {level: info}\n" })
	await(t, "ready", func() bool { return len(w.edges["a"].Settled())+len(w.edges["a"].Ready()) == 0 })
	_, id, _ := w.legacy(t, "a", http.MethodPost, "", opens)
	w.goesOn(t, "a", id)
	if err := w.edges["a"].Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.start(t, "a")
	await(t, "ready again", func() bool { return len(w.edges["a"].Settled())+len(w.edges["a"].Ready()) == 0 })
	w.goesOn(t, "a", id)
}
