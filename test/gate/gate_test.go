// Package gate_test lets gateways of different epochs write to a real node that checks them. It must not know how
// an epoch comes about.
package gate_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/quorate/quorate/gateway"
	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/mcpnode"
	"github.com/quorate/quorate/regions"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// epoch is the authority of a gateway whose gate is open: a gateway that stood still believes it for a moment.
type epoch uint64

func (e epoch) Allow() bool   { return true }
func (e epoch) Fence() uint64 { return uint64(e) }
func (e epoch) Decide(a authority.Asked) authority.Decision {
	return authority.Decide(true, authority.ReadOnly, a)
}

// outside takes the node for alive.
type outside struct{}

func (outside) NodeFailed(string, regions.NodeID, bool)                    {}
func (outside) NodeUnproven(string, regions.NodeID, error)                 {}
func (outside) Alive(context.Context, regions.Proposal, *tls.Config) error { return nil }
func (outside) Link(regions.Proposal) http.RoundTripper                    { return nil }
func took(string, string, string) func(time.Duration)                      { return func(time.Duration) {} }

// startNode runs a node that checks epochs, and returns its URL.
func startNode(t *testing.T, journal string) string {
	t.Helper()
	pr, pw := io.Pipe()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- mcpnode.Run(ctx, mcpnode.Config{Name: "n", Journal: journal, Fence: true, Stdout: pw})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	line, err := bufio.NewReader(pr).ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	var ready struct{ Address string }
	if err := json.Unmarshal(line, &ready); err != nil {
		t.Fatal(err)
	}
	return "http://" + ready.Address + mcpnode.Path
}

// startGateway runs a gateway in front of the node.
func startGateway(t *testing.T, name, node string, a gateway.Authority) string {
	t.Helper()
	g, err := gateway.New(gateway.Config{Name: name, Duration: took, Outside: outside{}, Logger: slog.New(slog.DiscardHandler), Authority: a})
	if err != nil {
		t.Fatal(err)
	}
	facts := &regions.Facts{Eras: regions.Modern | regions.Legacy, Stateful: true, Tools: map[string]regions.Tool{"charge": {}, "set": {Idempotent: true}, "lookup": {ReadOnly: true}}}
	table, err := regions.Build(regions.Input{Region: "r", Services: []regions.ServiceInput{{Name: "s", Path: "/mcp", Eras: regions.Modern, Nodes: []regions.Node{{
		Proposal:    regions.Proposal{ID: "n", Service: "s", URL: node, Region: "r"},
		Observation: regions.Observation{State: regions.Healthy, LastSeen: time.Now(), Facts: facts},
	}}}}})
	if err != nil {
		t.Fatal(err)
	}
	service := gateway.Service{Name: "s", Path: "/mcp", Attempts: 3, BudgetRatio: 0.2, BudgetMin: 3}
	if err := g.Publish(table, []gateway.Service{service}, nil, nil); err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(g)
	t.Cleanup(func() {
		front.Close()
		g.Close(context.Background())
		g.Release()
	})
	return front.URL + "/mcp"
}

// post sends a message and returns the answer's header and body.
func post(t *testing.T, url, body string, header ...string) (http.Header, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.Header, string(b)
}

func modern(t *testing.T, url, tool, call string) string {
	t.Helper()
	_, body := post(t, url, `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"`+tool+`","arguments":{"call":"`+call+`"},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`,
		"MCP-Protocol-Version", "2026-07-28", "Mcp-Method", "tools/call", "Mcp-Name", tool)
	return body
}

// session opens a legacy session and returns what calls a tool in it.
func session(t *testing.T, url string) func(tool, call string) string {
	t.Helper()
	header, body := post(t, url, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}`)
	in := []string{"Mcp-Session-Id", header.Get("Mcp-Session-Id"), "MCP-Protocol-Version", "2025-11-25"}
	if in[1] == "" {
		t.Fatal(body)
	}
	post(t, url, `{"jsonrpc":"2.0","method":"notifications/initialized"}`, in...)
	return func(tool, call string) string {
		_, body := post(t, url, `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"`+tool+`","arguments":{"call":"`+call+`"}}}`, in...)
		return body
	}
}

// A gateway that lost its authority while it stood still takes itself for able to write. The node that has heard of
// the next epoch does not, in either era, and journals nothing of it.
func TestNodeKeepsAStaleGatewayOut(t *testing.T) {
	journal := filepath.Join(t.TempDir(), "journal")
	node := startNode(t, journal)
	stale, next, ungoverned := startGateway(t, "gw-1", node, epoch(5)), startGateway(t, "gw-2", node, epoch(6)), startGateway(t, "gw-3", node, nil)
	in := session(t, stale)
	done := func(call, body string) {
		if !strings.Contains(body, "done "+call) {
			t.Errorf("%s: %s", call, body)
		}
	}
	fenced := func(call, body string) {
		if !strings.Contains(body, `"code":-32071`) || !strings.Contains(body, `"reason":"fenced"`) {
			t.Errorf("%s: %s", call, body)
		}
	}
	done("before-1", modern(t, stale, "charge", "before-1"))
	done("before-2", in("charge", "before-2"))
	done("next", modern(t, next, "charge", "next"))
	fenced("stale-1", modern(t, stale, "charge", "stale-1"))
	fenced("stale-2", modern(t, stale, "set", "stale-2"))
	fenced("stale-3", in("charge", "stale-3"))
	if body := modern(t, stale, "lookup", ""); !strings.Contains(body, "is on n/") {
		t.Errorf("a read: %s", body)
	}
	done("control", modern(t, ungoverned, "charge", "control"))

	entries, err := mcpnode.ReadJournal(journal)
	if err != nil {
		t.Fatal(err)
	}
	var ran []string
	for _, e := range entries {
		if e.Phase == mcpnode.PhaseStart {
			ran = append(ran, e.Call+" "+e.Via+" "+string(rune('0'+e.Fence)))
		}
	}
	if got, want := strings.Join(ran, ", "), "before-1 gw-1 5, before-2 gw-1 5, next gw-2 6, control  0"; got != want {
		t.Errorf("ran: %s\nwant: %s", got, want)
	}
}
