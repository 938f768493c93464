package gateway

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/route"
	"github.com/quorate/quorate/regions"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world answers the gateway's questions about nodes the way a process list would: a node is alive
// while its server is.
type world struct {
	dead   func(url string) bool
	link   func(regions.Proposal) http.RoundTripper
	deaths atomic.Int32
}

func (w *world) NodeFailed(_ string, _ regions.NodeID, dead bool) {
	if dead {
		w.deaths.Add(1)
	}
}

func (w *world) NodeUnproven(string, regions.NodeID, error) {}

func (w *world) Alive(_ context.Context, n regions.Proposal, _ *tls.Config) error {
	if w.dead != nil && w.dead(n.URL) {
		return fmt.Errorf("no answer from %s", n.URL)
	}
	return nil
}

func (w *world) Link(n regions.Proposal) http.RoundTripper {
	if w.link == nil {
		return nil
	}
	return w.link(n)
}

// node is a scripted MCP server: behaviours that no SDK server can be made to show.
type node struct {
	id       regions.NodeID
	eras     regions.Eras
	stateful bool
	tools    map[string]regions.Tool // nil: the usual ones
	serve    http.HandlerFunc
	server   *httptest.Server
	calls    atomic.Int32
}

func modern(id string, serve http.HandlerFunc) *node {
	return &node{id: regions.NodeID(id), eras: regions.Modern | regions.Legacy, serve: serve}
}

func (n *node) start(t testing.TB) {
	n.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.calls.Add(1)
		n.serve(w, r)
	}))
	t.Cleanup(n.server.Close)
}

type setup struct {
	world   *world
	gateway *Gateway
	url     string
	nodes   []*node
}

// start runs a gateway in front of nodes; tools says which tools are read-only.
func start(t testing.TB, change func(*Config, *Service), nodes ...*node) *setup {
	t.Helper()
	s := &setup{world: &world{}, nodes: nodes}
	cfg := Config{
		Name: "gw", Outside: s.world, Logger: slog.New(slog.DiscardHandler),
		Duration: func(string, string, string) func(time.Duration) { return func(time.Duration) {} },
	}
	service := Service{Name: "tools", Path: "/mcp", Attempts: 3, BudgetRatio: 0.2, BudgetMin: 3,
		Connect: time.Second, Suspect: 100 * time.Millisecond, Probe: 100 * time.Millisecond}
	routes, err := route.Compile(nil)
	if err != nil {
		t.Fatal(err)
	}
	service.Routes = routes
	if change != nil {
		change(&cfg, &service)
	}
	if s.gateway, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	if err := s.gateway.Publish(s.table(t), []Service{service}, cfg.AllowedHosts, cfg.AllowedOrigins); err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(s.gateway)
	t.Cleanup(func() {
		front.Close()
		s.gateway.Close(context.Background())
		s.gateway.Release()
	})
	s.url = front.URL + "/mcp"
	return s
}

func (s *setup) table(t testing.TB) *regions.Table {
	in := regions.ServiceInput{Name: "tools", Path: "/mcp", Eras: regions.Modern}
	for i, n := range s.nodes {
		if n.server == nil {
			n.start(t)
		}
		tools := n.tools
		if tools == nil {
			tools = map[string]regions.Tool{"read": {ReadOnly: true}, "set": {Idempotent: true}, "charge": {}}
		}
		in.Nodes = append(in.Nodes, regions.Node{
			// Weights make the first node the likely first choice; tests that need it to be certain say so.
			Proposal:    regions.Proposal{ID: n.id, Service: "tools", URL: n.server.URL + "/mcp", Region: "r", Weight: max(1, 1000-999*i)},
			Observation: regions.Observation{State: regions.Healthy, LastSeen: time.Now(), Facts: &regions.Facts{Eras: n.eras, Stateful: n.stateful, Tools: tools}},
		})
	}
	table, err := regions.Build(regions.Input{Region: "r", Services: []regions.ServiceInput{in}})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

const modernMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`

// callTool makes a modern tools/call with id 7.
func (s *setup) callTool(t testing.TB, tool string) *http.Response {
	t.Helper()
	return s.post(t, `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"`+tool+`","arguments":{},`+modernMeta+`}}`,
		"MCP-Protocol-Version", "2026-07-28", "Mcp-Method", "tools/call", "Mcp-Name", tool)
}

func (s *setup) post(t testing.TB, body string, header ...string) *http.Response {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, s.url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return s.do(t, r, header...)
}

func (s *setup) do(t testing.TB, r *http.Request, header ...string) *http.Response {
	t.Helper()
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
			continue
		}
		r.Header.Set(header[i], header[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func text(t testing.TB, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("reading the answer: %v after %q", err, b)
	}
	return string(b)
}

// wantError checks status, code and id of a JSON-RPC error.
func wantError(t testing.TB, resp *http.Response, status, code int, id string) {
	t.Helper()
	body := text(t, resp)
	if resp.StatusCode != status || !strings.Contains(body, fmt.Sprintf(`"code":%d,`, code)) || !strings.Contains(body, `"id":`+id+",") {
		t.Errorf("got %d %s, want status %d, code %d, id %s", resp.StatusCode, body, status, code, id)
	}
}

func answerJSON(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, body)
}

const result = `{"jsonrpc":"2.0","id":7,"result":{"resultType":"complete","content":[]}}`

// hangUp breaks the connection as a killed process does.
func hangUp(w http.ResponseWriter) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

func ok(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	answerJSON(w, result)
}

func events(w http.ResponseWriter, data ...string) {
	w.Header().Set("Content-Type", "text/event-stream")
	for _, d := range data {
		_, _ = w.Write(mcp.AppendEvent(nil, mcp.Event{Data: []byte(d)}))
		_ = http.NewResponseController(w).Flush()
	}
}
