// Package overload holds Quorate to its word when there is too much to do, or when nothing that is asked for can
// be done: a real gateway process in front of real sockets whose workers are few. It must not know the gateway's
// code.
package overload

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/child"
	"github.com/quorate/quorate/internal/gatewayproc"
)

const (
	nodes   = 2
	workers = 8 // of each node
	// work is how long a call has a worker. No processor is needed for it, so that the workers are what is scarce.
	work = 40 * time.Millisecond
	// capacity is what the pool can do, in calls per second.
	capacity = float64(nodes*workers) / (float64(work) / float64(time.Second))
)

// Node is an MCP server (2026-07-28) whose calls wait, in the order they came, for one of its workers; the queue has
// no end. What is no call, such as a health check, is answered at once and counted apart.
type Node struct {
	server  *httptest.Server
	workers chan struct{}
	broken  atomic.Bool  // calls are answered with 503
	down    atomic.Bool  // so is everything else
	calls   atomic.Int64 // that reached the node
	others  atomic.Int64 // requests that are no calls
}

func newNode() *Node {
	n := &Node{workers: make(chan struct{}, workers)}
	n.server = httptest.NewServer(n)
	return n
}

// ServeHTTP answers one request.
func (n *Node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var m struct {
		ID     json.RawMessage
		Method string
	}
	if r.Method != http.MethodPost {
		n.others.Add(1)
		w.WriteHeader(http.StatusMethodNotAllowed) // which is how a living node answers a probe
		return
	}
	if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if m.Method == "tools/call" {
		n.calls.Add(1)
		n.call(w, r, m.ID)
		return
	}
	n.others.Add(1)
	n.other(w, m.Method, m.ID)
}

// call does the work. Whoever leaves the queue is not worked for; what has begun is finished.
func (n *Node) call(w http.ResponseWriter, r *http.Request, id json.RawMessage) {
	select {
	case n.workers <- struct{}{}:
	case <-r.Context().Done():
		return
	}
	defer func() { <-n.workers }()
	<-time.After(work)
	if n.broken.Load() {
		http.Error(w, "brownout", http.StatusServiceUnavailable)
		return
	}
	reply(w, id, `{"resultType":"complete","content":[{"type":"text","text":"done"}]}`)
}

func (n *Node) other(w http.ResponseWriter, method string, id json.RawMessage) {
	const tool = `{"name":%q,"inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true}}`
	switch {
	case n.down.Load():
		http.Error(w, "brownout", http.StatusServiceUnavailable)
	case method == "server/discover":
		reply(w, id, `{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"ttlMs":0,`+
			`"cacheScope":"public","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"overload","version":"1"}}}`)
	case method == "tools/list":
		tools := fmt.Sprintf(tool+","+tool, Fast, Slow)
		reply(w, id, `{"resultType":"complete","ttlMs":0,"cacheScope":"public","tools":[`+tools+`]}`)
	default:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"method not found"}}`, id)
	}
}

func reply(w http.ResponseWriter, id json.RawMessage, result string) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":`+string(id)+`,"result":`+result+`}`)
}

// World is one region: a gateway process and its nodes.
type World struct {
	Nodes   []*Node
	Gateway *gatewayproc.Gateway
}

// Start starts a region and ends it with the test. service is more of the service, gateway more of the gateway,
// both as YAML.
func Start(t *testing.T, binary, gateway, service string) *World {
	t.Helper()
	w, group, log := &World{}, child.NewGroup(), new(child.Tail)
	t.Cleanup(func() {
		group.Close()
		for _, n := range w.Nodes {
			n.server.CloseClientConnections()
			n.server.Close()
		}
		if t.Failed() {
			t.Logf("last output of the gateway:\n%s", log)
		}
	})
	cfg := gatewayproc.Config{Binary: binary, Dir: t.TempDir(), Gateway: gateway, Service: service, Log: log}
	for i := range nodes {
		n := newNode()
		w.Nodes = append(w.Nodes, n)
		cfg.Nodes = append(cfg.Nodes, gatewayproc.Node{ID: fmt.Sprintf("n%d", i+1), URL: n.server.URL + "/mcp"})
	}
	var err error
	if w.Gateway, err = gatewayproc.Start(t.Context(), group, cfg); err != nil {
		t.Fatal(err)
	}
	return w
}

// Counts returns how many calls and how many other requests the nodes got.
func (w *World) Counts() (calls, others int) {
	for _, n := range w.Nodes {
		calls += int(n.calls.Load())
		others += int(n.others.Load())
	}
	return calls, others
}

// Limit is how many requests the gateway lets into the pool at once, 0 if it does not say.
func (w *World) Limit(ctx context.Context) int {
	samples, err := w.Gateway.Metrics(ctx, "quorate_limit")
	if err != nil || len(samples) == 0 {
		return 0
	}
	return int(samples[0].Value)
}
