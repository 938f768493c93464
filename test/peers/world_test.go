// Package peers_test holds Quorate to other people's MCP implementations: their clients as agents and
// their servers as nodes, with nodes killed under them.
package peers_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/child"
	"github.com/quorate/quorate/internal/gatewayproc"
	"github.com/quorate/quorate/internal/mcpnode/pool"
	"github.com/quorate/quorate/test/npm/agent"
)

// quick makes the gateway see a restarted node soon; how fast it re-routes does not depend on it.
const quick = "    checks: {interval: 200ms}\n"

// world is a pool of one kind of node behind a gateway.
type world struct {
	url     string // the gateway
	gateway *gatewayproc.Gateway
	// where asks a node for its name; the answer is the tool's text.
	where    string
	whereArg map[string]any
	nameIn   func(text string) string
	// uri changes by itself, or when touch is called.
	uri   string
	touch string
	// updates is how many updates prove that the node delivers: the gateway itself announces one
	// after a move.
	updates int
	nodes   map[string]node
}

// node is one place of the pool.
type node interface {
	Kill()
	Start(ctx context.Context) error
}

// quorate is the gateway's binary, built once for all tests of this package.
var quorate string

func TestMain(m *testing.M) { os.Exit(gatewayproc.Tests{M: m, Binary: &quorate}.Run()) }

func newGroup(t *testing.T) *child.Group {
	g := child.NewGroup()
	t.Cleanup(g.Close)
	return g
}

// front starts the gateway in front of the nodes.
func (w *world) front(t *testing.T, group *child.Group, nodes []gatewayproc.Node) {
	t.Helper()
	g, err := gatewayproc.Start(t.Context(), group, gatewayproc.Config{
		Binary: quorate, Dir: t.TempDir(), Nodes: nodes, Service: quick, Log: t.Output(),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.gateway, w.url = g, g.URL()
}

// goNodes is a pool of three go-sdk servers of both eras; their resource changes ten times a second.
func goNodes(t *testing.T) *world {
	t.Helper()
	group := newGroup(t)
	cfg := pool.Config{Binary: quorate, Dir: t.TempDir(), Log: t.Output()}
	for _, id := range []string{"a", "b", "c"} {
		cfg.Nodes = append(cfg.Nodes, pool.Spec{ID: id, Era: "both", Updates: 100 * time.Millisecond})
	}
	p, err := pool.Start(t.Context(), group, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	w := &world{
		where: "lookup", whereArg: map[string]any{"key": "k"}, uri: "quorate-demo://updates", updates: 5, nodes: map[string]node{},
		nameIn: func(text string) (name string) {
			_, _ = fmt.Sscanf(text, "k is on %1s/", &name)
			return name
		},
	}
	var nodes []gatewayproc.Node
	for _, n := range p.Nodes() {
		w.nodes[n.ID] = n
		nodes = append(nodes, gatewayproc.Node{ID: n.ID, URL: n.URL()})
	}
	w.front(t, group, nodes)
	return w
}

// everything is one server-everything process, the reference server of the TypeScript SDK.
type everything struct {
	group   *child.Group
	node    string // Node 22
	script  string
	name    string
	address string
	process *child.Process
}

// everythingNodes is a pool of two server-everything processes.
func everythingNodes(t *testing.T) *world {
	t.Helper()
	js, modules := agent.Packages(t)
	group := newGroup(t)
	w := &world{
		where: "get-env", uri: "demo://resource/dynamic/text/1", touch: "toggle-subscriber-updates", updates: 2,
		nodes: map[string]node{}, nameIn: func(text string) string { return environment(text, nameVariable) },
	}
	var nodes []gatewayproc.Node
	for _, name := range []string{"a", "b"} {
		n := &everything{
			group: group, node: js, name: name, address: freeAddress(t),
			script: filepath.Join(modules, "@modelcontextprotocol", "server-everything", "dist", "index.js"),
		}
		if err := n.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.nodes[name] = n
		nodes = append(nodes, gatewayproc.Node{ID: name, URL: "http://" + n.address + "/mcp"})
	}
	w.front(t, group, nodes)
	return w
}

// nameVariable is the environment variable with which a node's tool get-env tells its name.
const nameVariable = "PEER_NAME"

// Start starts the process and waits until it listens.
func (e *everything) Start(ctx context.Context) error {
	_, port, err := net.SplitHostPort(e.address)
	if err != nil {
		return err
	}
	e.process, _, err = e.group.Start(ctx, child.Spec{
		Path: e.node, Args: []string{e.script, "streamableHttp"}, Env: []string{"PORT=" + port, nameVariable + "=" + e.name},
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := e.process.Accepts(ctx, e.address); err != nil {
		return fmt.Errorf("server-everything does not listen: %w", err)
	}
	return nil
}

// Kill sends SIGKILL.
func (e *everything) Kill() { e.process.Kill() }

// lastPort makes every port of this process another one: the worlds run side by side.
var lastPort atomic.Int64

// freeAddress finds a port outside the kernel's ephemeral range: while its node is dead nothing else
// may be given it.
func freeAddress(t *testing.T) string {
	t.Helper()
	const first, span = 12000, 8000
	for range span {
		port := first + (int64(os.Getpid())*37+lastPort.Add(1))%span
		ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = ln.Close()
			return ln.Addr().String()
		}
	}
	t.Fatal("no free port")
	return ""
}
