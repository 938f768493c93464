package authority_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/ca"
	"github.com/quorate/quorate/internal/child"
	"github.com/quorate/quorate/internal/mcpnode"
	"github.com/quorate/quorate/internal/mcpnode/pool"
	"github.com/quorate/quorate/internal/poll"
)

// formed bounds how long a fleet may take until it writes, and healed until one mends, on a busy machine.
const (
	formed = 40 * time.Second
	healed = 40 * time.Second
)

// fleet is gateways, witnesses and the nodes that they share.
type fleet struct {
	t       *testing.T
	group   *child.Group
	dir     string
	nodes   []*node
	members []*member
	// split is the section split_brain, with its newline; "" for the default.
	split string
}

// node is one MCP server with a journal.
type node struct {
	name, url, journal string
	checks             bool // fences
}

// newFleet has an authority for certificates and two nodes that check fences.
func newFleet(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{t: t, group: child.NewGroup(), dir: t.TempDir()}
	t.Cleanup(f.group.Close)
	if err := ca.Init(f.dir, ca.Options{}); err != nil {
		t.Fatal(err)
	}
	f.addNode("n1", true)
	f.addNode("n2", true)
	return f
}

func (f *fleet) addNode(name string, checks bool) {
	f.t.Helper()
	n := &node{name: name, journal: filepath.Join(f.dir, name+".journal"), checks: checks}
	address := f.port()
	n.url = "http://" + address + mcpnode.Path
	args := []string{"node", "-name", name, "-listen", address, "-json", "-journal", n.journal, fmt.Sprintf("-fence=%t", checks)}
	if _, _, err := f.group.Start(f.t.Context(), child.Spec{Path: binary, Args: args, Ready: child.Stdout, ReadyMsg: mcpnode.ReadyMsg}); err != nil {
		f.t.Fatal(err)
	}
	f.nodes = append(f.nodes, n)
}

// port is a loopback address that stays this test's, whatever is dead meanwhile.
func (f *fleet) port() string {
	f.t.Helper()
	address, mark, err := pool.Reserve()
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = mark.Close() })
	return address
}

// add gives the fleet another member; it is not started.
func (f *fleet) add(name, region, role string) *member {
	f.t.Helper()
	if _, err := ca.Issue(f.dir, region, name, ca.Options{}); err != nil {
		f.t.Fatal(err)
	}
	m := &member{f: f, name: name, region: region, role: role, listen: f.port(), admin: f.port(), peer: f.port(), log: new(logbook)}
	m.advertise = m.peer
	f.members = append(f.members, m)
	f.t.Cleanup(func() {
		if f.t.Failed() {
			f.t.Logf("the last of %s:\n%s", name, m.log.tail())
		}
	})
	return m
}

// three is two gateways and a witness that expect each other. They are started, and may write.
func three(t *testing.T, split string) (f *fleet, a, b, w *member) {
	t.Helper()
	f = newFleet(t)
	f.split = split
	a, b, w = f.three()
	return f, a, b, w
}

func (f *fleet) three() (a, b, w *member) {
	f.t.Helper()
	a, b, w = f.add("gw-1", "us", "voter"), f.add("gw-2", "eu", "voter"), f.add("gw-3", "ap", "witness")
	f.expect("gw-1", "gw-2", "gw-3")
	f.start(a, b, w)
	f.writable(a, b)
	return a, b, w
}

// expect has every voter that the fleet has by now name these.
func (f *fleet) expect(names ...string) {
	for _, m := range f.members {
		if slices.Contains(names, m.name) {
			m.expected = names
		}
	}
}

// start starts members side by side.
func (f *fleet) start(members ...*member) {
	f.t.Helper()
	began := make(chan error, len(members))
	for _, m := range members {
		go func() { began <- m.begin() }()
	}
	var problems []error
	for range members {
		problems = append(problems, <-began)
	}
	if err := errors.Join(problems...); err != nil {
		f.t.Fatal(err)
	}
}

// writable waits until each of them may write and its nodes are verified.
func (f *fleet) writable(members ...*member) {
	f.t.Helper()
	for _, m := range members {
		f.await(formed, m.name+" may write", func() bool {
			return m.status("/writez") == 200 && m.status("/readyz") == 200 && m.write("").good()
		})
	}
}

// await polls for what only another process knows.
func (f *fleet) await(bound time.Duration, what string, ok func() bool) {
	f.t.Helper()
	poll.True(f.t, 20*time.Millisecond, bound, what, ok)
}

// document is the configuration of a member.
func (m *member) document() string {
	var b strings.Builder
	f := m.f
	fmt.Fprintf(&b, "name: %s\nregion: %s\ndata_dir: %s\nadmin: {address: %q}\n", m.name, m.region, m.data(), m.admin)
	fmt.Fprintf(&b, "peer: {address: %q, advertise: %q, ca_file: ca.crt, cert_file: %s-%s.crt, key_file: %s-%s.key}\n",
		m.peer, m.advertise, m.region, m.name, m.region, m.name)
	var join []string
	for _, o := range f.members {
		if o != m {
			join = append(join, fmt.Sprintf("%q", o.advertise))
		}
	}
	expect := ""
	if len(m.expected) > 0 {
		expect = ", expect: [" + strings.Join(m.expected, ", ") + "]"
	}
	fmt.Fprintf(&b, "control: {role: %s, join: [%s]%s}\n", m.role, strings.Join(join, ", "), expect)
	b.WriteString(m.splitBrain())
	if m.role == "witness" {
		return b.String()
	}
	fmt.Fprintf(&b, "listen: {address: %q}\nshutdown: {drain: 2s}\n", m.listen)
	b.WriteString("services:\n  - name: tools\n    path: /mcp\n    checks: {interval: 500ms, failures: 20}\n    attempt: {connect: 5s, suspect: 20s, probe: 5s}\n    limits: {adaptive: false}\n    discover:\n      - static:\n          nodes:\n")
	for _, n := range f.nodes {
		fmt.Fprintf(&b, "            - {id: %s, url: %q}\n", n.name, n.url)
	}
	return b.String()
}

func (m *member) splitBrain() string {
	if m.split != "" {
		return m.split
	}
	return m.f.split
}

// leading returns which of two leads, or the one that does not; if neither does, it has the first one lead.
func (f *fleet) leading(a, b *member, leads bool) *member {
	f.t.Helper()
	leader := ""
	f.await(healed, "a gateway leads", func() bool {
		leader = b.cluster().Leader
		if leader == a.name || leader == b.name {
			return true
		}
		_, _ = a.operator("force-leader", a.region) // a busy machine may need more than one try
		return false
	})
	if (leader == a.name) == leads {
		return a
	}
	return b
}

// pass lets a fault last.
func (f *fleet) pass(d time.Duration) {
	select {
	case <-time.After(d):
	case <-f.t.Context().Done():
	}
}
