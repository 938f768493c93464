package failover

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/child"
	"github.com/quorate/quorate/internal/mcpnode"
	"github.com/quorate/quorate/internal/mcpnode/pool"
)

// naive is a proxy with the bugs that the checks exist for.
type naive struct {
	attempts int  // per request, whatever the request does
	late     bool // answers a broken call as done
	nodes    []*pool.Node
	address  string
	srv      *http.Server
	http     *http.Client
}

func (*naive) Name() string { return "naive" }

func (n *naive) URL() string { return "http://" + n.address + mcpnode.Path }

func (n *naive) Start(_ context.Context, _ *child.Group, _ string, nodes []*pool.Node, _ io.Writer) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	n.nodes, n.address = nodes, ln.Addr().String()
	n.http = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	n.srv = &http.Server{Handler: n, ReadHeaderTimeout: time.Second}
	go func() { _ = n.srv.Serve(ln) }()
	return nil
}

func (n *naive) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	for range n.attempts {
		if n.attempt(w, r, body) {
			return
		}
	}
	if n.late {
		id, _, _ := strings.Cut(strings.TrimPrefix(string(body), `{"jsonrpc":"2.0","id":`), ",")
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":`+id+`,"result":{"content":[]}}`)
		return
	}
	w.WriteHeader(http.StatusBadGateway)
}

func (n *naive) attempt(w http.ResponseWriter, r *http.Request, body []byte) bool {
	node := n.nodes[rand.IntN(len(n.nodes))]
	req, err := http.NewRequestWithContext(r.Context(), r.Method, node.URL(), bytes.NewReader(body))
	if err != nil {
		return false
	}
	req.Header = r.Header.Clone()
	resp, err := n.http.Do(req)
	if err != nil {
		return false
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return false
	}
	w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
	w.WriteHeader(resp.StatusCode)
	_, _ = w.Write(answer)
	return true
}

func (*naive) Healthy(context.Context) (bool, error)      { return true, nil }
func (*naive) Counters(context.Context) (Counters, error) { return Counters{}, nil }

func (n *naive) Stop() error {
	defer n.http.CloseIdleConnections()
	return n.srv.Close()
}

func TestChecksFindSeededBugs(t *testing.T) {
	tests := []struct {
		name  string
		front *naive
		found func(Result) bool
		want  string
	}{
		{"no retries", &naive{attempts: 1}, func(r Result) bool { return r.SafeLost > 0 && r.Duplicate == 0 }, "retry-safe calls failed"},
		{"retries of everything", &naive{attempts: 6}, func(r Result) bool { return r.Duplicate > 0 }, "executed twice"},
		{"an answer that was never given", &naive{attempts: 1, late: true}, func(r Result) bool { return r.False > 0 }, "contradicted by the journals"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			log := new(child.Tail)
			res, err := Run(t.Context(), Config{
				Binary: self(t), Front: tt.front, Nodes: TestPool(), Fault: SIGKILL, Kills: 12, Seed: 7, Log: log,
				Agents: Mix{ModernRaw: 24}, Think: 5 * time.Millisecond,
			})
			if err != nil {
				t.Fatal(err, log)
			}
			said := strings.Join(res.Violations(0), "; ")
			if !tt.found(res) || !strings.Contains(said, tt.want) {
				t.Errorf("not found; violations %q, result %+v", said, res)
			}
			if weak := res.Weaknesses(); weak != nil {
				t.Error(weak)
			}
		})
	}
}
