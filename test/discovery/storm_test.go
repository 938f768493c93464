package discovery

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/quorate/quorate/internal/consulproc"
)

// Of the nodes that come at once, crowd go at once: as many as can be believed, which is less than half of all.
const (
	arrive = 610
	crowd  = 300
)

// listeners serves MCP at n addresses of this process.
func listeners(t *testing.T, n int) (addresses []string) {
	t.Helper()
	s := mcp.NewServer(&mcp.Implementation{Name: "crowd", Version: "1"}, nil)
	for _, tool := range []string{"lookup", "echo", "set", "charge"} {
		mcp.AddTool(s, &mcp.Tool{Name: tool, Annotations: &mcp.ToolAnnotations{ReadOnlyHint: tool == "lookup" || tool == "echo", IdempotentHint: tool == "set"}},
			func(context.Context, *mcp.CallToolRequest, map[string]any) (*mcp.CallToolResult, any, error) {
				return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "k is on crowd"}}}, nil, nil
			})
	}
	srv := &http.Server{Handler: mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s }, &mcp.StreamableHTTPOptions{Stateless: true, JSONResponse: true})}
	var work sync.WaitGroup
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addresses = append(addresses, l.Addr().String())
		work.Go(func() { _ = srv.Serve(l) })
	}
	t.Cleanup(func() { _ = srv.Close(); work.Wait() })
	return addresses
}

// all does f for every one of n, eight at a time.
func all(n int, f func(i int)) {
	var next atomic.Int64
	var work sync.WaitGroup
	for range 8 {
		work.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	work.Wait()
}

// stayer is an agent with a session that has to stay where it is.
type stayer struct {
	home          string // the first answer
	calls, failed int
	moved         []string // answers from elsewhere
}

// stay opens n sessions and calls in each of them until ended.
func stay(t *testing.T, url string, n int) (ended func() []*stayer) {
	t.Helper()
	var stayers []*stayer
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var work sync.WaitGroup
	for range n {
		c := mcp.NewClient(&mcp.Implementation{Name: "stayer", Version: "1"}, nil)
		transport := &http.Transport{}
		s, err := c.Connect(ctx, &mcp.StreamableClientTransport{Endpoint: url, HTTPClient: &http.Client{Transport: transport}},
			&mcp.ClientSessionOptions{ProtocolVersion: "2025-11-25"})
		if err != nil {
			t.Fatal(err)
		}
		me := &stayer{}
		stayers = append(stayers, me)
		work.Go(func() {
			defer transport.CloseIdleConnections()
			defer func() { _ = s.Close() }()
			for tick := time.NewTicker(30 * time.Millisecond); ; {
				me.call(ctx, s)
				select {
				case <-tick.C:
				case <-ctx.Done():
					tick.Stop()
					return
				}
			}
		})
	}
	ended = sync.OnceValue(func() []*stayer { stop(); work.Wait(); return stayers })
	t.Cleanup(func() { ended() })
	return ended
}

func (s *stayer) call(ctx context.Context, session *mcp.ClientSession) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	s.calls++
	r, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "lookup", Arguments: map[string]any{"key": "k"}})
	if err != nil || len(r.Content) != 1 {
		s.failed++
		return
	}
	where := r.Content[0].(*mcp.TextContent).Text
	if s.home == "" {
		s.home = where
	}
	if where != s.home {
		s.moved = append(s.moved, where)
	}
}

// builds notes when the table in force had which version, fifty times a second.
type builds struct {
	at      []time.Time
	version []float64
}

func (b *builds) watch(t *testing.T, g *gateway) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var work sync.WaitGroup
	work.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if v := g.metric("quorate_table_version"); v >= 0 {
					b.at, b.version = append(b.at, time.Now()), append(b.version, v)
				}
			case <-ctx.Done():
				return
			}
		}
	})
	return sync.OnceFunc(func() { cancel(); work.Wait() })
}

// most is the most builds within any second, and all of them.
func (b *builds) most() (perSecond, total float64) {
	for i := range b.at {
		for j := i; j < len(b.at) && b.at[j].Sub(b.at[i]) <= time.Second; j++ {
			perSecond = max(perSecond, b.version[j]-b.version[i])
		}
	}
	return perSecond, b.version[len(b.version)-1] - b.version[0]
}

// Hundreds of nodes come and go within a second: few tables are built, and sessions on nodes that stay are untouched.
func TestStormOfNodes(t *testing.T) {
	g := group(t)
	c := startCatalog(t, g, consulproc.Config{Datacenter: usEast})
	stable := startPool(t, g, "stable", 3)
	for _, n := range stable.Nodes() {
		c.register(n.ID, n.Address())
	}
	addresses := listeners(t, arrive)
	gw := serve(t, g, base("gw-1", usEast)+fmt.Sprintf(`consul: {address: %q, datacenters: {us-east: us-east}}
services:
  - name: tools
    path: /mcp
    checks: {interval: 2s, failures: 2}
    discover: [{consul: {service: mcp-tools}}]
`, c.URL()))
	await(t, "the stable nodes are healthy", func() bool { return len(gw.nodes("tools", "healthy")) == 3 })
	ended := stay(t, gw.url+"/mcp", 12)
	load := agents(t, seed(t), few, gw.url+"/mcp")
	var b builds
	stop := b.watch(t, gw)
	began := time.Now()
	all(arrive, func(i int) {
		if err := c.put(fmt.Sprintf("crowd-%d", i), addresses[i]); err != nil {
			t.Error(err)
		}
	})
	registered := time.Since(began)
	await(t, "all are healthy", func() bool { return len(gw.nodes("tools", "healthy")) == 3+arrive })
	healthy := time.Since(began)
	pause(t, time.Second)
	began = time.Now()
	all(crowd, func(i int) {
		if err := c.api.Agent().ServiceDeregister(fmt.Sprintf("crowd-%d", i)); err != nil {
			t.Error(err)
		}
	})
	deregistered := time.Since(began)
	await(t, "those that left are gone", func() bool { return len(gw.nodes("tools", "")) == 3+arrive-crowd })
	gone := time.Since(began)
	pause(t, time.Second)
	stop()
	perSecond, total := b.most()
	res := load.result(stable)
	calls, failed, moved := 0, 0, 0
	stayers := ended()
	for _, s := range stayers {
		calls, failed, moved = calls+s.calls, failed+s.failed, moved+len(s.moved)
		if !strings.Contains(s.home, "stable") {
			t.Errorf("a session began on %q", s.home)
		}
	}
	t.Logf("%d nodes registered within %s, all healthy after %s; %d of them deregistered within %s, all gone after %s",
		arrive, registered.Round(time.Millisecond), healthy.Round(time.Millisecond), crowd, deregistered.Round(time.Millisecond), gone.Round(time.Millisecond))
	t.Logf("%.0f tables built, at most %.0f in a second (N=%d looks); N=%d sessions that stay: %d calls, %d failed, %d answered elsewhere; others: %s",
		total, perSecond, len(b.at), len(stayers), calls, failed, moved, figures(res))
	if perSecond > 11 || total == 0 {
		t.Errorf("%.0f tables in a second, %.0f in all", perSecond, total)
	}
	if failed != 0 || moved != 0 || calls == 0 {
		t.Errorf("sessions were touched: %d calls failed, %d moved", failed, moved)
	}
	if res.SafeLost != 0 {
		t.Errorf("%d safe calls failed, such as %v", res.SafeLost, res.Samples)
	}
}
