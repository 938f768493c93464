package verify

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/quorate/quorate/regions"
)

// newServer is a real MCP server with tools look (read-only), put (idempotent) and charge (neither).
func newServer() *mcp.Server {
	s := mcp.NewServer(&mcp.Implementation{Name: "node", Version: "1"}, &mcp.ServerOptions{PageSize: 2})
	addTool(s, "look", &mcp.ToolAnnotations{ReadOnlyHint: true})
	addTool(s, "put", &mcp.ToolAnnotations{IdempotentHint: true})
	addTool(s, "charge", nil)
	return s
}

// forgetful is a newServer whose sessions the test may lose, by replacing its handler or by cutting its
// answers; they are ended with the test. All others must be ended by the Tracker, or goleak finds them.
func forgetful(t *testing.T) *mcp.Server {
	s := newServer()
	t.Cleanup(func() {
		for session := range s.Sessions() {
			_ = session.Close()
		}
	})
	return s
}

func addTool(s *mcp.Server, name string, a *mcp.ToolAnnotations) {
	type none struct{}
	mcp.AddTool(s, &mcp.Tool{Name: name, Annotations: a}, func(context.Context, *mcp.CallToolRequest, none) (*mcp.CallToolResult, none, error) {
		return &mcp.CallToolResult{}, none{}, nil
	})
}

func stateful(s *mcp.Server) http.Handler {
	return mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s }, nil)
}

func stateless(s *mcp.Server) http.Handler {
	return mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s }, &mcp.StreamableHTTPOptions{Stateless: true})
}

// swap is a handler that a test exchanges, as a restart does; nil answers 503.
type swap struct {
	mu  sync.Mutex
	now http.Handler
}

func (s *swap) set(h http.Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = h
}

func (s *swap) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	h := s.now
	s.mu.Unlock()
	if h == nil {
		h = status(http.StatusServiceUnavailable)
	}
	h.ServeHTTP(w, r)
}

// recorder keeps what requests a node got: "POST tools/list", "DELETE".
type recorder struct {
	http.Handler
	mu   sync.Mutex
	seen []string
}

func (rec *recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	line := r.Method
	if r.Method == http.MethodPost {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		var m message
		_ = json.Unmarshal(body, &m)
		line += " " + m.Method
		r.Body = io.NopCloser(newReader(body))
	}
	rec.mu.Lock()
	rec.seen = append(rec.seen, line)
	rec.mu.Unlock()
	rec.Handler.ServeHTTP(w, r)
}

func (rec *recorder) count(line string) (n int) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	for _, l := range rec.seen {
		if l == line {
			n++
		}
	}
	return n
}

// script answers POSTs by method with a status and a body; a method it does not know gets 400.
type script map[string]struct {
	status int
	kind   string // content type, default application/json
	body   string // #ID# stands for the request's id
	header http.Header
}

func (s script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	var m message
	if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	a, ok := s[m.Method]
	if !ok {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	for k, v := range a.header {
		w.Header()[k] = v
	}
	if a.kind == "" {
		a.kind = "application/json"
	}
	w.Header().Set("Content-Type", a.kind)
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, replaceID(a.body, string(m.ID)))
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	ts := httptest.NewServer(h)
	t.Cleanup(func() {
		ts.CloseClientConnections()
		ts.Close()
	})
	return ts.URL + "/mcp"
}

// track starts a Tracker on the nodes at urls, named a, b, c and so on.
func track(t *testing.T, cfg Config, urls ...string) *Tracker {
	t.Helper()
	cfg.Service = "tools"
	cfg.Timeout = cmp.Or(cfg.Timeout, 20*time.Second) // a loaded machine is no failure of the node
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	tr, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.Close)
	var set []regions.Proposal
	for i, u := range urls {
		set = append(set, regions.Proposal{ID: regions.NodeID('a' + rune(i)), URL: u, Region: "here", Source: "static", Weight: 1})
	}
	tr.SetNodes(set)
	return tr
}

// await waits for the first node to become what ok wants. It listens to Changed, and looks every
// 10 ms for what Changed does not announce.
func await(t *testing.T, tr *Tracker, what string, ok func(n regions.Node) bool) regions.Node {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if nodes := tr.Nodes(); len(nodes) > 0 && ok(nodes[0]) {
			return nodes[0]
		}
		select {
		case <-tr.Changed():
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("no node that is %s: %+v", what, tr.Nodes())
		}
	}
}

func in(s regions.State) func(regions.Node) bool {
	return func(n regions.Node) bool { return n.State == s }
}
