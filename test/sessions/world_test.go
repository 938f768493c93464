package sessions_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/ca"
	"github.com/quorate/quorate/internal/child"
	"github.com/quorate/quorate/internal/mcpnode"
	"github.com/quorate/quorate/internal/natsproc"
	"github.com/quorate/quorate/internal/testnet"
)

// formed bounds how long a fleet may take until it writes, and healed until one mends, on a busy machine.
const (
	formed = 60 * time.Second
	healed = 60 * time.Second
)

// setup says what is not usual in a world. Its texts are YAML.
type setup struct {
	apart    bool          // every gateway on a host of its own, with lines that can be cut
	regions  bool          // every gateway in a region of its own, with nodes that only it reaches
	far      time.Duration // one way, between two regions
	seed     uint64
	config   string   // more lines of the file
	service  string   // more lines of the service, indented by four
	route    string   // more lines of the routes, indented by six
	minority string   // of split_brain; "" for read_only
	nodes    int      // in every pool; 0 for two
	given    []string // URLs of nodes that run already, instead of these
	updates  time.Duration
	// engine starts what else the gateways need, and returns more lines of the file; nil: nothing.
	engine func(*world) string
	binary string   // of all gateways; "": this tree's
	env    []string // of all gateways, besides this process's
}

// interval is that between heartbeats: over a distance about a round trip, as docs/configuration.md advises.
func (s *setup) interval() time.Duration {
	if s.far > 0 {
		return max(2*s.far, 50*time.Millisecond)
	}
	return 200 * time.Millisecond
}

// world is gateways, their nodes, and a place for agents.
type world struct {
	t       *testing.T
	setup   setup
	dir     string
	net     *testnet.Net // nil: all on loopback
	edge    *place       // where agents and their balancer are
	members []*member
	nodes   []*node
	// Of the strategy jetstream where hosts are apart.
	nats      *natsproc.Cluster
	natsHosts []*testnet.Host
}

// node is one MCP server with a journal.
type node struct {
	name, address, journal string
	at                     *place
	updates                time.Duration
	of                     *member // who alone reaches it; nil: everybody
	process                *child.Process
}

// newWorld starts three gateways, which may write when it returns. A part of the names of its gateways are regions.
func newWorld(t *testing.T, s setup) *world {
	t.Helper()
	w := &world{t: t, setup: s, dir: t.TempDir()}
	if s.apart {
		networks(t)
		w.net = testnet.New(s.seed)
		t.Cleanup(w.net.Close)
		w.edge = newHost(t, w.net, "edge")
	} else {
		w.edge = loopback(t)
	}
	if err := errors.Join(ca.Init(w.dir, ca.Options{}), os.WriteFile(filepath.Join(w.dir, "admin.token"), []byte(token+"\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		w.add(fmt.Sprintf("gw-%d", i+1), "voter")
	}
	w.place()
	if s.engine != nil {
		w.setup.config += s.engine(w)
	}
	w.start(w.members...)
	w.writable(w.gateways()...)
	return w
}

// add gives the world another gateway; it is not started.
func (w *world) add(name, role string) *member {
	w.t.Helper()
	m := &member{w: w, name: name, region: "us-east", role: role, at: w.edge, log: new(lines)}
	if w.setup.regions {
		m.region = "region-" + name
	}
	if w.net != nil {
		m.at = newHost(w.t, w.net, name)
	}
	if _, err := ca.Issue(w.dir, m.region, name, ca.Options{}); err != nil {
		w.t.Fatal(err)
	}
	m.listen, m.admin, m.peer = m.at.address(), m.at.address(), m.at.address()
	w.members = append(w.members, m)
	w.t.Cleanup(func() {
		if w.t.Failed() {
			w.t.Logf("the last of %s:\n%s", name, m.log.tail())
		}
	})
	return m
}

// place sets distances and starts the nodes.
func (w *world) place() {
	w.t.Helper()
	n := max(w.setup.nodes, 2)
	for i, m := range w.members {
		for _, o := range w.members[:i] {
			if w.net != nil {
				w.net.Set(m.at.host, o.at.host, testnet.Condition{Delay: w.setup.far})
			}
		}
		if w.setup.regions && m.role != "witness" {
			for j := range n {
				w.addNode(fmt.Sprintf("%s-n%d", m.name, j+1), m.at, m)
			}
		}
	}
	for i, url := range w.setup.given {
		address := strings.TrimSuffix(strings.TrimPrefix(url, "http://"), mcpnode.Path)
		w.nodes = append(w.nodes, &node{name: fmt.Sprintf("n%d", i+1), at: w.edge, address: address})
	}
	if w.setup.regions || len(w.setup.given) > 0 {
		return
	}
	at := w.edge
	if w.net != nil {
		at = newHost(w.t, w.net, "nodes")
	}
	for j := range n {
		w.addNode(fmt.Sprintf("n%d", j+1), at, nil)
	}
}

func (w *world) addNode(name string, at *place, of *member) *node {
	w.t.Helper()
	n := &node{name: name, at: at, of: of, address: at.address(), journal: filepath.Join(w.dir, name+".journal"), updates: w.setup.updates}
	w.nodes = append(w.nodes, n)
	w.startNode(n)
	return n
}

// startNode begins a life of a node.
func (w *world) startNode(n *node) {
	w.t.Helper()
	if err := n.begin(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// begin starts a node. Its answers are whole: nothing of one is sent before its end.
func (n *node) begin(ctx context.Context) error {
	args := []string{"node", "-name", n.name, "-listen", n.address, "-json", "-journal", n.journal, "-fence", "-updates", n.updates.String()}
	p, _, err := n.at.group.Start(ctx, child.Spec{Path: binary, Args: args, Ready: child.Stdout, ReadyMsg: mcpnode.ReadyMsg})
	if err == nil {
		n.process = p
	}
	return err
}

// start starts members side by side.
func (w *world) start(members ...*member) {
	w.t.Helper()
	began := make(chan error, len(members))
	for _, m := range members {
		go func() { began <- m.begin() }()
	}
	var problems []error
	for range members {
		problems = append(problems, <-began)
	}
	if err := errors.Join(problems...); err != nil {
		w.t.Fatal(err)
	}
}

// gateways are the members that agents reach.
func (w *world) gateways() (all []*member) {
	for _, m := range w.members {
		if m.role != "witness" {
			all = append(all, m)
		}
	}
	return all
}

// writable waits until each of them may write and opens sessions that are kept by others.
func (w *world) writable(members ...*member) {
	w.t.Helper()
	for _, m := range members {
		w.await(formed, m.name+" may write, and is ready", func() bool {
			return m.status("/writez") == 200 && m.status("/readyz") == 200 && m.status("/ready") == 200
		})
	}
}

// await polls for what only another process knows.
func (w *world) await(bound time.Duration, what string, ok func() bool) {
	w.t.Helper()
	tick, end := time.NewTicker(20*time.Millisecond), time.NewTimer(bound)
	defer tick.Stop()
	defer end.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-end.C:
			w.t.Fatalf("not within %s: %s", bound, what)
		}
	}
}

// pass lets a fault last.
func (w *world) pass(d time.Duration) {
	select {
	case <-time.After(d):
	case <-w.t.Context().Done():
	}
}

// document is the configuration of a member.
func (m *member) document() string {
	var b strings.Builder
	w := m.w
	fmt.Fprintf(&b, "name: %s\nregion: %s\ndata_dir: %s\nadmin: {address: %q, token_file: admin.token}\n", m.name, m.region, m.data(), m.admin)
	fmt.Fprintf(&b, "peer: {address: %q, ca_file: ca.crt, cert_file: %s-%s.crt, key_file: %s-%s.key}\n", m.peer, m.region, m.name, m.region, m.name)
	var join, expect []string
	for _, o := range w.members {
		if o != m {
			join = append(join, fmt.Sprintf("%q", o.peer))
		}
		if o.role != "member" {
			expect = append(expect, o.name)
		}
	}
	fmt.Fprintf(&b, "control: {role: %s, interval: %s, join: [%s], expect: [%s]}\n", m.role, w.setup.interval(), strings.Join(join, ", "), strings.Join(expect, ", "))
	if w.setup.minority != "" {
		fmt.Fprintf(&b, "split_brain: {minority: %s}\n", w.setup.minority)
	}
	if m.role == "witness" {
		return b.String()
	}
	b.WriteString(m.others())
	b.WriteString(w.setup.config)
	fmt.Fprintf(&b, "listen: {address: %q}\nshutdown: {drain: 2s}\n", m.listen)
	b.WriteString("services:\n  - name: tools\n    path: /mcp\n    checks: {interval: 500ms, failures: 4, successes: 1}\n    attempt: {connect: 2s}\n    limits: {adaptive: false}\n")
	b.WriteString(w.setup.service)
	if w.setup.route != "" {
		b.WriteString("    routes:\n" + w.setup.route)
	}
	b.WriteString("    discover:\n      - static:\n          nodes:\n")
	for _, n := range w.nodes {
		if n.of == nil || n.of == m {
			fmt.Fprintf(&b, "            - {id: %s, url: %q}\n", n.name, "http://"+n.address+mcpnode.Path)
		}
	}
	return b.String()
}

// others are the ways to other regions.
func (m *member) others() string {
	if !m.w.setup.regions {
		return ""
	}
	var b strings.Builder
	b.WriteString("failover: {interval: 500ms, failures: 4, hold_down: 3s, ramp: 1s, evacuate: 1s}\nregions:\n")
	for _, o := range m.w.gateways() {
		if o != m {
			fmt.Fprintf(&b, "  %s: {gateways: [%q], rtt: %s}\n", o.region, o.peer, max(2*m.w.setup.far, time.Millisecond))
		}
	}
	return b.String()
}
