package committed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/ca"
	"github.com/quorate/quorate/internal/control"
	"github.com/quorate/quorate/internal/delay"
	"github.com/quorate/quorate/internal/peer"
	"github.com/quorate/quorate/internal/peer/cutlinks"
	"github.com/quorate/quorate/internal/poll"
	"github.com/quorate/quorate/internal/rulebook"
	"github.com/quorate/quorate/strategies"
	"github.com/quorate/quorate/strategies/winnertakesall"
)

// fleet is gateways with real links and real disks, in one process, at a distance from each other.
type fleet struct {
	t       testing.TB
	dir     string
	host    string // of the listeners: no connection that is dialed takes a port there before a gateway returns
	names   []string
	oneWay  time.Duration
	address map[string]string // where the others dial, by name
	target  map[string]string // where it listens
	proxies []*delay.Proxy
	net     *cutlinks.Net

	mu      sync.Mutex
	members map[string]*member
}

type member struct {
	f      *fleet
	name   string
	peers  *peer.Peers
	node   *control.Node
	part   *Part
	client *Client
	gone   bool
}

// newFleet starts gateways, each in a region of its own, and waits until all may write.
func newFleet(t testing.TB, oneWay time.Duration, names ...string) *fleet {
	t.Helper()
	f := &fleet{
		t: t, dir: t.TempDir(), host: fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(250), rand.IntN(250), 1+rand.IntN(250)), names: names, oneWay: oneWay,
		address: map[string]string{}, target: map[string]string{}, members: map[string]*member{}, net: cutlinks.New(),
	}
	must(t, ca.Init(f.dir, ca.Options{}))
	t.Cleanup(f.close)
	listeners := map[string]net.Listener{}
	for _, name := range names {
		l, err := net.Listen("tcp", f.host+":0")
		must(t, err)
		listeners[name], f.target[name], f.address[name] = l, l.Addr().String(), l.Addr().String()
		if oneWay == 0 {
			continue
		}
		p, err := delay.Start(delay.Config{Target: l.Addr().String(), Delay: oneWay})
		must(t, err)
		f.proxies, f.address[name] = append(f.proxies, p), p.Address()
	}
	for _, name := range names {
		f.start(name, listeners[name])
	}
	for _, m := range f.members {
		within(t, 30*time.Second, m.name+" may write", m.node.Allow)
	}
	return f
}

func (f *fleet) close() {
	for _, m := range f.all() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		m.end(ctx)
		cancel()
	}
	for _, p := range f.proxies {
		p.Close()
	}
}

func (f *fleet) all() []*member {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []*member
	for _, name := range f.names {
		if m := f.members[name]; m != nil {
			all = append(all, m)
		}
	}
	return all
}

// at returns a gateway as it is now.
func (f *fleet) at(name string) *member {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.members[name]
}

// again starts a gateway that has ended, from its disk.
func (f *fleet) again(name string) {
	var l net.Listener
	within(f.t, 10*time.Second, name+" has its port again", func() (ok bool) {
		var err error
		l, err = net.Listen("tcp", f.target[name])
		return err == nil
	})
	f.start(name, l)
}

func (f *fleet) start(name string, l net.Listener) {
	f.t.Helper()
	files, err := ca.Issue(f.dir, "region-"+name, name, ca.Options{})
	must(f.t, err)
	credentials, err := peer.LoadCredentials(filepath.Join(f.dir, ca.CertFile), files.Cert, files.Key)
	must(f.t, err)
	m := &member{f: f, name: name, part: NewPart()}
	logger := slog.New(slog.NewTextHandler(io.Discard, nil))
	ready := make(chan struct{})
	m.peers, err = peer.New(peer.Config{
		Credentials: credentials, Version: "test", Advertise: f.address[name], Logger: logger,
		Cluster: func() string { <-ready; return m.node.Cluster() },
		Signal:  func(from peer.Identity, b []byte) { <-ready; m.node.Receive(from.Gateway, b) },
		Foreign: func(cluster string) { <-ready; m.node.Met(cluster) },
		Forward: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-ready; m.node.ServeHTTP(w, r) }),
	})
	must(f.t, err)
	links := f.net.Links(name, f.address[name], m.peers)
	go func() { _ = m.peers.Serve(l) }()
	m.node, err = control.Open(control.Config{
		Gateway: name, Region: "region-" + name, Expect: f.names, Address: f.address[name], Dir: filepath.Join(f.dir, "store-"+name), Distance: 2 * f.oneWay,
		Links: links, Rules: rulebook.Rulebook{}, Parts: map[string]control.Part{PartName: m.part}, Logger: logger,
		Ask: func(_ context.Context, in strategies.Input) (strategies.Rule, error) { return winnertakesall.Rule(in) },
	})
	must(f.t, err)
	m.client, err = New(Config{Part: m.part, Group: m.node, Final: func(err error) bool { return errors.Is(err, control.ErrRefused) }})
	must(f.t, err)
	close(ready)
	f.mu.Lock()
	f.members[name] = m
	f.mu.Unlock()
	var remotes []peer.Remote
	for other, address := range f.address {
		if other != name {
			remotes = append(remotes, peer.Remote{Address: address})
		}
	}
	must(f.t, m.peers.SetRemotes(remotes))
}

// end ends a gateway; with a context that is over as a crash would, without a word.
func (m *member) end(ctx context.Context) {
	if m.gone {
		return
	}
	m.gone = true
	m.client.Close()
	if ctx.Err() != nil {
		_ = m.peers.Close(ctx)
		_ = m.node.Close(ctx)
		return
	}
	_ = m.node.Close(ctx)
	_ = m.peers.Close(ctx)
}

func (m *member) vanish() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	m.end(ctx)
}

// leader waits for one and returns it.
func (f *fleet) leader() (m *member) {
	within(f.t, 20*time.Second, "somebody leads", func() bool {
		for _, one := range f.all() {
			if !one.gone && one.node.Leader() == one.name {
				m = one
			}
		}
		return m != nil
	})
	return m
}

// partition keeps the gateways of sides apart; those not named are on one side. Without sides it heals.
func (f *fleet) partition(sides ...[]string) {
	side := map[string]int{}
	for n, names := range sides {
		for _, name := range names {
			side[name] = n + 1
		}
	}
	f.net.Cut(func(a, b string) bool { return side[a] != side[b] })
}

// within waits for a condition.
func within(t testing.TB, d time.Duration, what string, ok func() bool) {
	t.Helper()
	poll.True(t, 5*time.Millisecond, d, what, ok)
}
