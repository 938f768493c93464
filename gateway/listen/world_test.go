package listen

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"go.uber.org/goleak"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/upstream"
	"github.com/quorate/quorate/internal/poll"
	"github.com/quorate/quorate/regions"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait in these tests; nothing waits this long unless it fails.
const patience = 10 * time.Second

// world is a pool of real MCP servers, a hub, and the hub's own address for agents.
type world struct {
	t     *testing.T
	hub   *Hub
	url   string
	ended chan struct{} // one per Serve that returned

	mu   sync.Mutex
	pool []Node
}

func newWorld(t *testing.T, cfg Config) *world {
	t.Helper()
	w := &world{t: t, ended: make(chan struct{}, 1000)}
	cfg.Pool, cfg.Logger = w.nodes, slog.New(slog.DiscardHandler)
	if cfg.MinBackoff == 0 {
		cfg.MinBackoff, cfg.MaxBackoff = time.Millisecond, 20*time.Millisecond
	}
	if cfg.Settle == 0 {
		cfg.Settle = patience // real servers on loopback all answer; TestSettle is about those that do not
	}
	hub, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.hub = hub
	gw := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		env, err := mcp.Scan(body)
		if err != nil {
			t.Errorf("agent sent %q: %v", body, err)
			return
		}
		if env.Method != mcp.MethodListen { // what the data plane does otherwise
			w.first().forward(rw, r, body)
			return
		}
		hub.Serve(rw, r, Request{Query: r.URL.RawQuery, Header: r.Header, Body: body, ID: env.ID.Of(body)})
		w.ended <- struct{}{}
	}))
	w.url = gw.URL
	t.Cleanup(func() {
		gw.CloseClientConnections()
		gw.Close()
	})
	return w
}

func (w *world) nodes() []Node {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Node(nil), w.pool...)
}

func (w *world) first() *node { return w.nodes()[0].(*node) }

// set makes the pool these nodes and tells the hub.
func (w *world) set(nodes ...*node) {
	w.mu.Lock()
	w.pool = nil
	for _, n := range nodes {
		w.pool = append(w.pool, n)
	}
	w.mu.Unlock()
	w.hub.Changed()
}

// node is a real MCP server process in miniature: a go-sdk server behind a listener that can die and
// come back at the same address.
type node struct {
	t      *testing.T
	id     regions.NodeID
	addr   string // does not change
	server *sdk.Server
	serve  http.Handler
	client *http.Client
	asked  atomic.Int64 // listen requests that reached it
	open   atomic.Int64 // of them now open

	mu   sync.Mutex
	http *httptest.Server
}

func newNode(t *testing.T, id string) *node {
	t.Helper()
	n := &node{t: t, id: regions.NodeID(id), client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	n.server = sdk.NewServer(&sdk.Implementation{Name: id, Version: "1"}, &sdk.ServerOptions{
		SubscribeHandler:   func(context.Context, *sdk.SubscribeRequest) error { return nil },
		UnsubscribeHandler: func(context.Context, *sdk.UnsubscribeRequest) error { return nil },
	})
	n.tool("first")
	n.server.AddPrompt(&sdk.Prompt{Name: "p"}, nil)
	n.server.AddResource(&sdk.Resource{URI: "file:///a", Name: "a"}, nil)
	n.serve = sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return n.server }, &sdk.StreamableHTTPOptions{Stateless: true})
	n.addr = n.start("127.0.0.1:0")
	t.Cleanup(n.kill)
	return n
}

// tool adds a tool, which the server tells its listeners.
func (n *node) tool(name string) {
	n.server.AddTool(&sdk.Tool{Name: name, InputSchema: json.RawMessage(`{"type":"object"}`)},
		func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
			return &sdk.CallToolResult{}, nil
		})
}

func (n *node) updated(uri string) {
	n.t.Helper()
	if err := n.server.ResourceUpdated(context.Background(), &sdk.ResourceUpdatedNotificationParams{URI: uri}); err != nil {
		n.t.Fatal(err)
	}
}

// start serves at addr and returns the real address.
func (n *node) start(addr string) string {
	n.t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		n.t.Fatal(err)
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(n.handle)}}
	s.Start()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.http = s
	return l.Addr().String()
}

func (n *node) handle(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get(mcp.HeaderMethod) == mcp.MethodListen {
		n.asked.Add(1)
		n.open.Add(1)
		defer n.open.Add(-1)
	}
	n.serve.ServeHTTP(w, r)
}

// kill breaks all connections and refuses new ones.
func (n *node) kill() {
	n.mu.Lock()
	s := n.http
	n.http = nil
	n.mu.Unlock()
	if s != nil {
		s.CloseClientConnections()
		s.Close()
	}
}

func (n *node) ID() regions.NodeID { return n.id }

func (n *node) Do(ctx context.Context, r *upstream.Request) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, r.Method, "http://"+n.addr+"/?"+r.Query, bytes.NewReader(r.Body))
	if err != nil {
		return nil, err
	}
	req.Header = r.Header.Clone()
	return n.client.Do(req)
}

func (n *node) forward(w http.ResponseWriter, r *http.Request, body []byte) {
	resp, err := n.Do(r.Context(), &upstream.Request{Method: r.Method, Header: r.Header, Body: body})
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	copyHeader(w.Header(), resp.Header)
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
}

// agent is one open listen request.
type agent struct {
	t      *testing.T
	resp   *http.Response
	events chan string // data of each event, closed at the end
	cancel func()
}

const (
	allKinds = `{"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":true,"resourceSubscriptions":["file:///a","file:///b"]}`
	tools    = `{"toolsListChanged":true}`
)

func listenBody(id, notifications string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":"subscriptions/listen","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}%s}}`, id, notifications)
}

func post(ctx context.Context, t *testing.T, url, body string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	req.Header.Set(mcp.HeaderVersion, "2026-07-28")
	req.Header.Set(mcp.HeaderMethod, mcp.MethodListen)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func (w *world) listen(id, notifications string) *agent {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	a := &agent{t: w.t, cancel: cancel, events: make(chan string, 1000)}
	a.resp = post(ctx, w.t, w.url, listenBody(id, `,"notifications":`+notifications))
	go func() {
		defer close(a.events)
		events := mcp.NewEventReader(a.resp.Body, 1<<20)
		for {
			e, err := events.Next()
			if err != nil {
				return
			}
			if !e.Comment {
				a.events <- string(e.Data)
			}
		}
	}()
	w.t.Cleanup(func() { cancel(); a.resp.Body.Close() })
	return a
}

// next returns the next event's data, "" at the end of the stream.
func (a *agent) next() string {
	a.t.Helper()
	select {
	case e := <-a.events:
		return e
	case <-time.After(patience):
		a.t.Fatal("no event")
		return ""
	}
}

// method returns the next event's method and uri, after checking which stream it names.
func (a *agent) method(id string) string {
	a.t.Helper()
	data := a.next()
	e, err := mcp.Scan([]byte(data))
	if err != nil {
		a.t.Fatalf("event %q: %v", data, err)
	}
	if got := string(e.SubscriptionID.Of([]byte(data))); got != id {
		a.t.Errorf("event %s names the stream %s, want %s", data, got, id)
	}
	return strings.TrimSpace(e.Method + " " + e.URI)
}

// want reads events until all of these have come, in any order, and fails on any other.
func (a *agent) want(id string, methods ...string) {
	a.t.Helper()
	left := make(map[string]int)
	for _, m := range methods {
		left[m]++
	}
	for range methods {
		m := a.method(id)
		if left[m]--; left[m] < 0 {
			a.t.Fatalf("unexpected %q, still waiting for %v", m, left)
		}
	}
}

func (a *agent) ack(id string) {
	a.t.Helper()
	if a.resp.StatusCode != 200 || !strings.HasPrefix(a.resp.Header.Get("Content-Type"), "text/event-stream") {
		a.t.Fatalf("status %d, headers %v", a.resp.StatusCode, a.resp.Header)
	}
	a.want(id, mcp.NotificationListenAck)
}

// eventually waits for a condition that no event announces.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	poll.True(t, time.Millisecond, patience, what, ok)
}
