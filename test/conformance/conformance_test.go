// Package conformance_test checks that the conformance run can tell a faithful proxy from one that is
// not, and that Quorate's answers are those of the nodes. `make conformance` runs every row.
package conformance_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/quorate/quorate/internal/child"
	"github.com/quorate/quorate/internal/conformance"
	"github.com/quorate/quorate/internal/gatewayproc"
	"github.com/quorate/quorate/test/npm"
)

// build builds one command for one test; the Go build cache makes the second time cheap.
func build(t *testing.T, pkg string) string {
	t.Helper()
	bin, err := gatewayproc.Build(t.Context(), t.TempDir(), pkg)
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

func config(t *testing.T, row string, nodes int, front conformance.StartFront) conformance.Config {
	t.Helper()
	dir, err := npm.Dir()
	if err != nil && os.Getenv("CI") == "" {
		t.Skipf("NOT TESTED: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	node, err := npm.Bin("node")
	if err != nil {
		t.Fatal(err)
	}
	cfg := conformance.Config{
		Suite:   conformance.Suite{Node: node, Modules: filepath.Join(dir, "node_modules")},
		Backend: build(t, conformance.Backend), Front: front, Pools: []int{nodes}, Out: t.Output(),
	}
	for _, r := range conformance.Rows() {
		if r.Name == row {
			cfg.Rows = append(cfg.Rows, r)
		}
	}
	if len(cfg.Rows) != 1 {
		t.Fatalf("no row %q", row)
	}
	return cfg
}

// roundRobin is a proxy that knows nothing of MCP: it sends every request to the next node.
type roundRobin struct {
	srv  *httptest.Server
	used []atomic.Int64
}

func startRoundRobin(_ context.Context, _ *child.Group, _ string, nodes []string) (conformance.Front, error) {
	f := &roundRobin{used: make([]atomic.Int64, len(nodes))}
	var next atomic.Int64
	var targets []*url.URL
	for _, n := range nodes {
		u, err := url.Parse(n)
		if err != nil {
			return nil, err
		}
		targets = append(targets, u)
	}
	// Loopback Host headers must reach the node as they are: it checks them.
	proxy := &httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) {
		i := int(next.Add(1)) % len(targets)
		f.used[i].Add(1)
		r.Out.URL.Scheme, r.Out.URL.Host = targets[i].Scheme, targets[i].Host
		r.Out.Host = r.In.Host
	}}
	f.srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		proxy.ServeHTTP(w, r)
	}))
	return f, nil
}

func (f *roundRobin) URL() string { return f.srv.URL + "/mcp" }

func (f *roundRobin) Requests(context.Context) (int, error) {
	n := 0
	for i := range f.used {
		n += int(f.used[i].Load())
	}
	return n, nil
}

func (f *roundRobin) NodesUsed(context.Context) (map[string]int, error) {
	used := map[string]int{}
	for i := range f.used {
		if n := int(f.used[i].Load()); n > 0 {
			used[string(rune('a'+i))] = n
		}
	}
	return used, nil
}

func (f *roundRobin) Stop() error {
	f.srv.CloseClientConnections()
	f.srv.Close()
	return nil
}

// TestFaithfulProxy: one node behind a proxy that changes nothing has no difference.
func TestFaithfulProxy(t *testing.T) {
	results, err := conformance.Run(t.Context(), config(t, "requirements 2026-07-28", 1, startRoundRobin))
	if err != nil {
		t.Fatal(err)
	}
	if r := results[0]; r.Requests == 0 || len(r.Used) != 1 {
		t.Errorf("%d requests on nodes %v", r.Requests, r.Used)
	}
}

// TestControl: sessions spread over two nodes break most of the suite, and the run says so.
func TestControl(t *testing.T) {
	results, err := conformance.Run(t.Context(), config(t, "requirements 2025-11-25", 2, startRoundRobin))
	if !errors.Is(err, conformance.ErrDifferent) {
		t.Fatalf("round robin over two stateful nodes: %v, want ErrDifferent", err)
	}
	if len(results[0].Differences) < 10 {
		t.Errorf("only %d differences: %s", len(results[0].Differences), results[0])
	}
}

// TestQuorate runs one row per era in front of three nodes.
func TestQuorate(t *testing.T) {
	quorate := build(t, gatewayproc.Package)
	for _, row := range []string{"requirements 2025-11-25", "requirements 2026-07-28"} {
		t.Run(strings.ReplaceAll(row, " ", "_"), func(t *testing.T) {
			if _, err := conformance.Run(t.Context(), config(t, row, 3, conformance.Quorate(quorate, t.Output()))); err != nil {
				t.Fatal(err)
			}
		})
	}
}
