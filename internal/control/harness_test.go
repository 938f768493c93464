package control_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/ca"
	"github.com/quorate/quorate/internal/control"
	"github.com/quorate/quorate/internal/logbook"
	"github.com/quorate/quorate/internal/peer"
	"github.com/quorate/quorate/internal/peer/cutlinks"
	"github.com/quorate/quorate/internal/poll"
	"github.com/quorate/quorate/internal/rulebook"
	"github.com/quorate/quorate/strategies"
	"github.com/quorate/quorate/strategies/configuredmaster"
	"github.com/quorate/quorate/strategies/winnertakesall"
)

// fleet is gateways with real links and real disks, in one process.
type fleet struct {
	t       *testing.T
	dir     string
	host    string // of the listeners: no connection that is dialed takes a port there before a gateway returns
	expect  []string
	address map[string]string
	net     *cutlinks.Net
	master  string                   // not "": configured_master
	ahead   map[string]time.Duration // wall clocks that are wrong
	mu      sync.Mutex
	members map[string]*member
}

type member struct {
	f     *fleet
	name  string
	role  strategies.Role
	peers *peer.Peers
	node  *control.Node
	log   *counter
	lines *logbook.Book
	gone  bool

	mu    sync.Mutex
	ended []authority.Life // as it was told
}

// told returns the lives whose end it was told of.
func (m *member) told() []authority.Life {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.ended)
}

// counter is a part whose state is a sum.
type counter struct {
	mu  sync.Mutex
	sum uint64
}

func (c *counter) Apply(_ uint64, command []byte) ([]byte, error) {
	if len(command) != 8 {
		return nil, errors.New("no number")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sum += binary.BigEndian.Uint64(command)
	return binary.BigEndian.AppendUint64(nil, c.sum), nil
}

func (c *counter) Snapshot() ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return binary.BigEndian.AppendUint64(nil, c.sum), nil
}

func (c *counter) Restore(b []byte) error {
	if len(b) != 8 {
		return errors.New("no number")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sum = binary.BigEndian.Uint64(b)
	return nil
}

func (c *counter) value() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sum
}

func newFleet(t *testing.T, expect ...string) *fleet {
	t.Helper()
	f := &fleet{t: t, dir: t.TempDir(), host: fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(250), rand.IntN(250), 1+rand.IntN(250)), expect: expect, address: map[string]string{}, net: cutlinks.New(), members: map[string]*member{}}
	if err := ca.Init(f.dir, ca.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, m := range f.all() {
			m.stop()
			if t.Failed() {
				t.Logf("log of %s:\n%s", m.name, m.lines)
			}
		}
	})
	return f
}

func (f *fleet) all() []*member {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []*member
	for _, m := range f.members {
		all = append(all, m)
	}
	return all
}

// region is the first letter's.
func region(name string) string { return "region-" + name[:1] }

// start starts a gateway at the address that it has had before, if it had one.
func (f *fleet) start(name string, role strategies.Role) *member {
	f.t.Helper()
	at := f.address[name]
	if at == "" {
		at = f.host + ":0"
	}
	var l net.Listener
	var err error
	within(f.t, 5*time.Second, name+" has its port again", func() bool { // an earlier life gives it up when it pleases
		l, err = net.Listen("tcp", at)
		return err == nil
	})
	f.address[name] = l.Addr().String()
	files, err := ca.Issue(f.dir, region(name), name, ca.Options{})
	if err != nil {
		f.t.Fatal(err)
	}
	credentials, err := peer.LoadCredentials(filepath.Join(f.dir, ca.CertFile), files.Cert, files.Key)
	if err != nil {
		f.t.Fatal(err)
	}
	m := &member{f: f, name: name, role: role, log: &counter{}, lines: &logbook.Book{}}
	logger := slog.New(slog.NewTextHandler(m.lines, nil))
	ready := make(chan struct{})
	m.peers, err = peer.New(peer.Config{
		Credentials: credentials, Version: "test", Advertise: f.address[name], Logger: logger,
		Cluster: func() string { <-ready; return m.node.Cluster() },
		Signal:  func(from peer.Identity, b []byte) { <-ready; m.node.Receive(from.Gateway, b) },
		Foreign: func(cluster string) { <-ready; m.node.Met(cluster) },
		Forward: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-ready; m.node.ServeHTTP(w, r) }),
	})
	if err != nil {
		f.t.Fatal(err)
	}
	links := f.net.Links(name, f.address[name], m.peers)
	go func() { _ = m.peers.Serve(l) }()
	m.node, err = control.Open(control.Config{
		Gateway: name, Region: region(name), Role: role, Expect: f.expect, Address: f.address[name], Dir: f.store(name), Links: links,
		Rules: rulebook.Rulebook{}, Ask: f.ask, Parts: map[string]control.Part{"counter": m.log}, Logger: logger,
		Wall: func() time.Time { return time.Now().Add(f.ahead[name]) },
		Ended: func(l authority.Life) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.ended = append(m.ended, l)
		},
	})
	if err != nil {
		f.t.Fatal(err)
	}
	close(ready)
	f.mu.Lock()
	f.members[name] = m
	f.mu.Unlock()
	f.link()
	return m
}

func (f *fleet) store(name string) string { return filepath.Join(f.dir, "store-"+name) }

func (f *fleet) ask(_ context.Context, in strategies.Input) (strategies.Rule, error) {
	f.mu.Lock()
	master := f.master
	f.mu.Unlock()
	if master == "" {
		return winnertakesall.Rule(in)
	}
	in.Options = map[string]string{"master": master}
	return configuredmaster.Rule(in)
}

// link has everybody dial everybody.
func (f *fleet) link() {
	f.t.Helper()
	for _, m := range f.all() {
		var remotes []peer.Remote
		for name, address := range f.address {
			if name != m.name {
				remotes = append(remotes, peer.Remote{Address: address})
			}
		}
		if err := m.peers.SetRemotes(remotes); err != nil && !errors.Is(err, peer.ErrClosed) {
			f.t.Fatal(err)
		}
	}
}

// stop stops a gateway in order.
func (m *member) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if !m.vanished() {
		m.gone = true
		_ = m.node.Close(ctx)
		_ = m.peers.Close(ctx)
	}
}

// vanish stops a gateway as a crash would: without a word.
func (m *member) vanish() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = m.peers.Close(ctx)
	_ = m.node.Close(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gone = true
}

func (m *member) vanished() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.gone
}

// within waits for a condition.
func within(t *testing.T, d time.Duration, what string, ok func() bool) time.Duration {
	t.Helper()
	return poll.True(t, 5*time.Millisecond, d, what, ok)
}

func (m *member) add(t *testing.T, n uint64) uint64 {
	t.Helper()
	_, result, err := m.node.Propose(t.Context(), "counter", binary.BigEndian.AppendUint64(nil, n))
	if err != nil {
		t.Fatal(err)
	}
	return binary.BigEndian.Uint64(result)
}

func (m *member) status(t *testing.T) control.Status { return m.node.Status(t.Context()) }

func (m *member) life(t *testing.T) uint64 {
	t.Helper()
	for _, g := range m.status(t).Members {
		if g.Gateway == m.name {
			return g.Incarnation
		}
	}
	return 0
}

func (f *fleet) formed(members ...*member) {
	f.t.Helper()
	for _, m := range members {
		d := within(f.t, 20*time.Second, m.name+" may write", m.node.Allow)
		f.t.Logf("%s may write after %s", m.name, d.Round(time.Millisecond))
	}
}

func (f *fleet) wipe(name string) {
	f.t.Helper()
	if err := os.RemoveAll(f.store(name)); err != nil {
		f.t.Fatal(err)
	}
}

func containsAll(s string, all ...string) bool {
	for _, w := range all {
		if !strings.Contains(s, w) {
			return false
		}
	}
	return true
}

// forced returns a fleet of a, b and c, of which the first two have vanished and the third goes on alone, by an order.
func forced(t *testing.T) (*fleet, *member) {
	t.Helper()
	f := newFleet(t, "a", "b", "c")
	a, b, c := f.start("a", strategies.Voter), f.start("b", strategies.Voter), f.start("c", strategies.Voter)
	f.formed(a, b, c)
	a.vanish()
	b.vanish()
	within(t, 5*time.Second, "c sees no leader", func() bool { return c.node.Leader() == "" })
	if err := c.node.Force(t.Context(), "region-c", "test"); err != nil {
		t.Fatal(err)
	}
	f.formed(c)
	return f, c
}
