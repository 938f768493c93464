package edge

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.uber.org/goleak"

	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/poll"
	"github.com/quorate/quorate/internal/telemetry"
	"github.com/quorate/quorate/plugins"
	"github.com/quorate/quorate/strategies/builtin"
)

// TestMain also is the built-in strategies, which a gateway runs from its own executable.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "strategy" {
		for _, b := range builtin.All() {
			if b.Name == os.Args[2] {
				plugins.Serve(b.Rule)
			}
		}
		if b, ok := builtin.FindReplication(os.Args[2]); ok {
			plugins.ServeReplication(b.Plan)
		}
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// server is a real MCP node that can refuse its checks, or leave them and everything else unanswered.
type server struct {
	http.Handler
	refuse, hold atomic.Bool
	held         chan struct{} // a check waits
	release      chan struct{}
}

func newServer(t *testing.T) (*server, string) {
	s := mcp.NewServer(&mcp.Implementation{Name: "node", Version: "1"}, nil)
	type none struct{}
	mcp.AddTool(s, &mcp.Tool{Name: "charge"}, func(context.Context, *mcp.CallToolRequest, none) (*mcp.CallToolResult, none, error) {
		return &mcp.CallToolResult{}, none{}, nil
	})
	n := &server{held: make(chan struct{}, 1), release: make(chan struct{})}
	n.Handler = mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s }, &mcp.StreamableHTTPOptions{Stateless: true})
	ts := httptest.NewServer(n)
	t.Cleanup(ts.Close)
	return n, ts.URL + "/mcp"
}

func (n *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	last := bytes.Contains(body, []byte(`"tools/list"`)) // a check's last round trip
	switch {
	case n.refuse.Load() && r.Method == http.MethodPost:
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	case n.hold.Load() && (last || r.Method == http.MethodOptions || bytes.Contains(body, []byte(`"tools/call"`))):
		if last {
			select {
			case n.held <- struct{}{}:
			default:
			}
		}
		<-n.release
	}
	n.Handler.ServeHTTP(w, r)
}

func load(t *testing.T, url string) *config.Config {
	t.Helper()
	return written(t, filepath.Join(t.TempDir(), "quorate.yaml"), fmt.Sprintf(`name: gw-1
region: us-east
listen: {address: "127.0.0.1:0"}
admin: {address: "127.0.0.1:0"}
shutdown: {drain: 1s}
services:
  - name: tools
    path: /mcp
    checks: {interval: 2s, failures: 1, successes: 1}
    attempt: {suspect: 20ms, probe: 50ms}
    discover: [{static: {nodes: [{id: a, url: %q}]}}]
`, url))
}

// written writes a configuration file and loads it.
func written(t *testing.T, file, text string) *config.Config {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(file, nil)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return cfg
}

func startEdge(t *testing.T, cfg *config.Config) *Edge {
	t.Helper()
	return startWith(t, cfg, Options{Logger: slog.New(slog.DiscardHandler)})
}

// startWith starts an edge that ends with the test, if it has not ended by then.
func startWith(t *testing.T, cfg *config.Config, o Options) *Edge {
	t.Helper()
	tel, err := telemetry.New(t.Context(), telemetry.Config{Gateway: cfg.Name, Region: cfg.Region, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	o.Version, o.Telemetry = "test", tel
	e, err := Start(t.Context(), cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !e.draining.Load() {
			_ = e.Shutdown(context.Background())
		}
		_ = tel.Shutdown(context.Background())
	})
	return e
}

func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	poll.True(t, time.Millisecond, 10*time.Second, what, is)
}

// answer is what came back.
type answer struct {
	code   int
	header http.Header
	body   string
}

// exchange makes one request on a connection of its own.
func exchange(t *testing.T, method, url, body string, header http.Header) answer {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(b)}
}

func (e *Edge) stateOf(t *testing.T, state string) func() bool {
	return func() bool { return e.Status().Services[0].Nodes[0].State == state }
}

func (e *Edge) dead() bool {
	n, ok := e.gateway.Node("tools", "a")
	return ok && n.Dead()
}

// A check that was under way while the data plane found the node dead can make it healthy, with a sighting
// from before its death. The node must not stay dead for ever because nothing changes any more.
func TestNodeThatBecameHealthyByAnOldSightingComesBack(t *testing.T) {
	n, url := newServer(t)
	e := startEdge(t, load(t, url))
	await(t, "healthy", e.stateOf(t, "healthy"))
	n.refuse.Store(true)
	e.trackers.failed("tools", "a", false) // have it checked now
	await(t, "unhealthy", e.stateOf(t, "unhealthy"))
	n.hold.Store(true)
	n.refuse.Store(false)
	<-n.held
	called := make(chan error, 1)
	go func() { called <- call("http://" + e.ListenAddr() + "/mcp") }()
	await(t, "dead", e.dead)
	n.hold.Store(false)
	close(n.release)
	if err := <-called; err != nil {
		t.Error(err)
	}
	await(t, "healthy again", e.stateOf(t, "healthy"))
	await(t, "alive again", func() bool { return !e.dead() })
}

func call(url string) error {
	r, err := http.NewRequest(http.MethodPost, url, strings.NewReader(`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"charge","arguments":{},`+
		`"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`))
	if err != nil {
		return err
	}
	r.Header = http.Header{"Mcp-Protocol-Version": {"2026-07-28"}, "Mcp-Method": {"tools/call"}, "Mcp-Name": {"charge"},
		"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err == nil {
		err = resp.Body.Close()
	}
	return err
}

// A reload that comes when the gateway is on its way out is refused, whatever it met.
func TestReloadAfterShutdownIsRefused(t *testing.T) {
	_, url := newServer(t)
	cfg := load(t, url)
	e := startEdge(t, cfg)
	if err := e.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- e.Reload(cfg) }()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("accepted")
		}
	case <-time.After(5 * time.Second):
		t.Fatal("it waits for ever")
	}
	if err := e.trackers.set(cfg); err == nil {
		t.Error("verification began anew")
		e.trackers.close()
	}
}
