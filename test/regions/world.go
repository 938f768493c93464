// Package regions holds Quorate to its word across regions: real gateways and nodes in network namespaces
// with distances between them, whose lines are cut while agents work. It must not know the gateway's code.
package regions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/admin"
	"github.com/quorate/quorate/internal/ca"
	"github.com/quorate/quorate/internal/child"
	"github.com/quorate/quorate/internal/mcpnode/pool"
	"github.com/quorate/quorate/internal/testnet"
)

// Names of the regions. Agents are at UsEast, whose own region has no node, so that all they ask crosses regions.
const (
	UsEast, EuWest, ApSouth = "us-east", "eu-west", "ap-south"
)

// oneWay are the delays between regions, as on the map; a round trip takes twice as long.
func oneWay(a, b string) time.Duration {
	switch {
	case a != UsEast && b != UsEast:
		return 60 * time.Millisecond
	case a == EuWest || b == EuWest:
		return 20 * time.Millisecond
	}
	return 40 * time.Millisecond
}

// World is three regions.
type World struct {
	Net      *testnet.Net
	Hosts    map[string]*testnet.Host
	Pools    map[string]*pool.Pool
	Gateways map[string]*child.Process
	url      string
	dir      string
	log      *child.Tail
}

// Options say what is not usual.
type Options struct {
	Binary   string
	Seed     uint64
	Failover string // keys of the section failover, in place of short ones
	Service  string // more lines of the service
}

const peerPort = "9100"

// Start brings everything up and ends it with the test. It skips where there can be no such network, loudly,
// and fails in CI, which runs as root.
func Start(t *testing.T, o Options) *World {
	t.Helper()
	if err := testnet.Available(); err != nil {
		if os.Getenv("CI") != "" && os.Geteuid() == 0 {
			t.Fatalf("CI runs as root and has no network namespaces: %v", err)
		}
		t.Skipf("NOT TESTED, three regions in network namespaces: %v", err)
	}
	w := &World{Net: testnet.New(o.Seed), Hosts: map[string]*testnet.Host{}, Pools: map[string]*pool.Pool{},
		Gateways: map[string]*child.Process{}, dir: t.TempDir(), log: new(child.Tail)}
	t.Cleanup(func() {
		w.Net.Close()
		if t.Failed() {
			t.Logf("last output of the processes:\n%s", w.log)
		}
	})
	if err := w.start(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	w.url = w.bridge(t, net.JoinHostPort(w.Hosts[UsEast].Addr().String(), "8080"))
	return w
}

func names() []string { return []string{UsEast, EuWest, ApSouth} }

func (w *World) start(ctx context.Context, o Options) error {
	if err := ca.Init(w.dir, ca.Options{}); err != nil {
		return err
	}
	for _, name := range names() {
		h, err := w.Net.Host(name)
		if err != nil {
			return err
		}
		if _, err := ca.Issue(w.dir, name, "gw-"+name, ca.Options{}); err != nil {
			return err
		}
		w.Hosts[name] = h
	}
	for i, a := range names() {
		for _, b := range names()[i+1:] {
			w.Net.Set(w.Hosts[a], w.Hosts[b], testnet.Condition{Delay: oneWay(a, b)})
		}
	}
	for _, name := range names()[1:] {
		p, err := pool.Start(ctx, w.Hosts[name].Group(), pool.Config{Binary: o.Binary, Dir: w.dir, Log: w.log, Nodes: []pool.Spec{
			{ID: name + "-1", Era: "both", Updates: 100 * time.Millisecond}, {ID: name + "-2", Era: "both", Updates: 100 * time.Millisecond},
		}})
		if err != nil {
			return err
		}
		w.Pools[name] = p
	}
	for _, name := range names() {
		if err := w.Gateway(ctx, name, o); err != nil {
			return err
		}
	}
	return w.ready(ctx)
}

// ready waits until the agents' edge sees both other regions at work.
func (w *World) ready(ctx context.Context) error {
	return testnet.Await(20*time.Second, "both regions are seen from "+UsEast, func() bool {
		up := 0
		for _, r := range w.Regions(ctx, UsEast) {
			for _, s := range r.Services {
				if !r.Local && s.Healthy > 0 && len(r.Links) > 0 && r.Measured {
					up++
				}
			}
		}
		return up == 2
	})
}

// Gateway starts a region's gateway.
func (w *World) Gateway(ctx context.Context, name string, o Options) error {
	file := filepath.Join(w.dir, name+".yaml")
	if err := os.WriteFile(file, []byte(w.document(name, o)), 0o600); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	p, _, err := w.Hosts[name].Group().Start(ctx, child.Spec{
		Path: o.Binary, Args: []string{"serve", "--config", file}, Ready: child.Stderr, ReadyMsg: "serving", Log: w.log,
	})
	w.Gateways[name] = p
	return err
}

func (w *World) document(name string, o Options) string {
	var b strings.Builder
	address := w.Hosts[name].Addr().String()
	fmt.Fprintf(&b, "name: gw-%s\nregion: %s\nlisten: {address: \"%s:8080\"}\nadmin: {address: \"127.0.0.1:9090\"}\n", name, name, address)
	fmt.Fprintf(&b, "peer: {address: \"%s:%s\", ca_file: ca.crt, cert_file: %s-gw-%s.crt, key_file: %s-gw-%s.key}\nregions:\n", address, peerPort, name, name, name, name)
	for _, other := range names() {
		if other != name {
			fmt.Fprintf(&b, "  %s: {gateways: [\"%s:%s\"], rtt: %s}\n", other, w.Hosts[other].Addr(), peerPort, 2*oneWay(name, other))
		}
	}
	failover := "interval: 500ms, failures: 3, hold_down: 3s, ramp: 4s, evacuate: 2s"
	if o.Failover != "" {
		failover = o.Failover
	}
	fmt.Fprintf(&b, "failover: {%s}\nservices:\n  - name: tools\n    path: /mcp\n    checks: {interval: 500ms, failures: 2, successes: 2}\n    discover:\n      - static:\n          nodes:\n", failover)
	if w.Pools[name] == nil {
		return strings.Replace(b.String(), "          nodes:\n", "          nodes: []\n", 1) + o.Service
	}
	for _, n := range w.Pools[name].Nodes() {
		fmt.Fprintf(&b, "            - {id: %s, url: %q}\n", n.ID, n.URL())
	}
	return b.String() + o.Service
}

// URL is where agents connect: a bridge from this process's own network to UsEast's edge.
func (w *World) URL() string { return w.url }

// bridge carries connections to an address of UsEast's network.
func (w *World) bridge(t *testing.T, to string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	work.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			work.Go(func() { w.carry(ctx, c, to) })
		}
	})
	t.Cleanup(func() { stop(); _ = l.Close(); work.Wait() })
	return "http://" + l.Addr().String() + "/mcp"
}

func (w *World) carry(ctx context.Context, near net.Conn, to string) {
	defer near.Close()
	far, err := w.Hosts[UsEast].DialContext(ctx, "tcp", to)
	if err != nil {
		return
	}
	defer far.Close()
	stop := context.AfterFunc(ctx, func() { _, _ = near.Close(), far.Close() })
	defer stop()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(far, near)
		_ = far.Close()
	}()
	_, _ = io.Copy(near, far)
	_ = near.Close()
	<-ended
}

// Regions returns the regions as one of them sees them; nil when its gateway does not answer.
func (w *World) Regions(ctx context.Context, at string) []admin.Region {
	var all admin.Regions
	if err := w.read(ctx, at, "/v1/regions", &all); err != nil {
		return nil
	}
	return all.Regions
}

// Region returns one of them.
func (w *World) Region(ctx context.Context, at, name string) (r admin.Region) {
	for _, r := range w.Regions(ctx, at) {
		if r.Name == name {
			return r
		}
	}
	return r
}

func (w *World) read(ctx context.Context, at, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	client := http.Client{Transport: &http.Transport{DialContext: w.Hosts[at].DialContext, DisableKeepAlives: true}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:9090"+path, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// Lose makes a region unreachable: silently, or answering every packet with a reset.
func (w *World) Lose(name string, reset bool) {
	w.Net.Isolate(w.Hosts[name], func(c *testnet.Condition) { c.Cut, c.Reject = !reset, reset })
}

// Cut cuts one link.
func (w *World) Cut(a, b string) {
	w.Net.Change(w.Hosts[a], w.Hosts[b], func(c *testnet.Condition) { c.Cut = true })
}

// Heal ends what Lose and Cut did to a region.
func (w *World) Heal(name string) {
	w.Net.Isolate(w.Hosts[name], func(c *testnet.Condition) { c.Cut, c.Reject = false, false })
}
