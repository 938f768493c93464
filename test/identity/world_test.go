// Package identity_test holds Quorate to its word that a node proves who it is before it is sent a byte: real
// nodes behind TLS, and impostors that answer MCP as well as they do.
package identity_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate/gateway"
	"github.com/quorate/quorate/gateway/route"
	"github.com/quorate/quorate/internal/poll"
	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/identity/identitytest"
	"github.com/quorate/quorate/regions/verify"
)

const region = "us-east"

// world is a gateway with its verification, in front of two places: "good" stays, "target" is attacked.
type world struct {
	trusted, other *identitytest.Authority
	right          tls.Certificate // the target's own
	good, target   *place
	tracker        *verify.Tracker
	gateway        *gateway.Gateway
	url            string

	forced atomic.Bool // the table says that the target is healthy, whatever verification says
	facts  atomic.Pointer[regions.Facts]
	fakes  atomic.Int64 // times that traffic has reported an impostor
	table  *regions.Table
	trust  *x509.CertPool
}

// wantNothing asks nodes for no identity and trusts the impostors' authority: the control.
const wantNothing = "nothing"

var wanted = map[string]regions.Identity{
	"tls_name":  {TLSName: "*.search.example.com"},
	"spiffe_id": {SPIFFE: "spiffe://example.org/search"},
}

func leaf() identitytest.Leaf {
	return identitytest.Leaf{
		DNS: []string{"a.search.example.com"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, URIs: []string{"spiffe://example.org/search"},
	}
}

// often is an interval of checks that finds an impostor before or after traffic does; with seldom, traffic is first.
const (
	often  = 200 * time.Millisecond
	seldom = time.Hour
)

// start brings it up; want names what nodes must prove.
func start(t *testing.T, want string, checks time.Duration) *world {
	t.Helper()
	w := &world{trusted: identitytest.NewAuthority(t, "trusted"), other: identitytest.NewAuthority(t, "other")}
	w.right = w.trusted.Issue(t, leaf())
	other := w.trusted.Issue(t, leaf())
	w.good = open(t, "", startNode(t, "good"), other)
	w.target = open(t, "", startNode(t, "target"), w.right)
	w.trust = w.trusted.Pool()
	if want == wantNothing {
		w.trust.AddCert(w.other.Cert())
	}
	var err error
	if w.tracker, err = verify.New(verify.Config{
		Service: "tools", Interval: checks, Timeout: 20 * time.Second, Trust: w.trust, Logger: slog.New(slog.DiscardHandler),
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.tracker.Close)
	w.gateway, err = gateway.New(gateway.Config{
		Name: "gw", Outside: w, Logger: slog.New(slog.DiscardHandler),
		Duration: func(string, string, string) func(time.Duration) { return func(time.Duration) {} },
	})
	if err != nil {
		t.Fatal(err)
	}
	w.tracker.SetNodes([]regions.Proposal{w.proposal("good", w.good, want, other), w.proposal("target", w.target, want, w.right)})
	w.await(t, "both nodes are healthy", func() bool { return w.state("good") == regions.Healthy && w.state("target") == regions.Healthy })
	w.facts.Store(w.tracker.Nodes()[0].Facts)
	w.publishing(t)
	w.serving(t)
	return w
}

func (w *world) proposal(id regions.NodeID, p *place, want string, cert tls.Certificate) regions.Proposal {
	n := regions.Proposal{ID: id, Service: "tools", URL: "https://" + p.Address() + "/mcp", Region: region, Weight: 1, Identity: wanted[want]}
	if want == "spki_sha256" {
		n.Identity.SPKI = identitytest.Pin(cert)
	}
	return n
}

// publishing publishes what verification says until the test ends.
func (w *world) publishing(t *testing.T) {
	t.Helper()
	w.publish(t)
	ctx, stop := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-w.tracker.Changed():
				w.publish(t)
			case <-tick.C:
				if w.forced.Load() {
					w.publish(t)
				}
			case <-ctx.Done():
				return
			}
		}
	})
	t.Cleanup(func() { stop(); work.Wait() })
}

func (w *world) publish(t *testing.T) {
	nodes := w.tracker.Nodes()
	for i := range nodes {
		if w.forced.Load() && nodes[i].ID == "target" {
			nodes[i].Observation = regions.Observation{State: regions.Healthy, Facts: w.facts.Load(), LastSeen: time.Now()}
		}
	}
	in := regions.Input{Previous: w.table, Region: region, Services: []regions.ServiceInput{{Name: "tools", Path: "/mcp", Nodes: nodes}}}
	table, err := regions.Build(in)
	if err != nil {
		t.Error(err)
		return
	}
	routes, err := route.Compile(nil)
	if err != nil {
		t.Error(err)
		return
	}
	// Handshakes and probes get time: a machine that is busy with other tests must not look like a death.
	service := gateway.Service{Name: "tools", Path: "/mcp", Routes: routes, Attempts: 3, BudgetRatio: 0.2, BudgetMin: 10,
		Connect: 5 * time.Second, Suspect: 100 * time.Millisecond, Probe: 2 * time.Second, Trust: w.trust}
	if err := w.gateway.Publish(table, []gateway.Service{service}, nil, nil); err != nil {
		t.Error(err)
		return
	}
	w.table = table
}

func (w *world) serving(t *testing.T) {
	front := httptest.NewServer(w.gateway)
	w.url = front.URL + "/mcp"
	t.Cleanup(func() {
		w.gateway.Close(context.Background())
		front.CloseClientConnections()
		front.Close()
		w.gateway.Release()
	})
}

func (w *world) node(id regions.NodeID) (found regions.Node) {
	for _, n := range w.tracker.Nodes() {
		if n.ID == id {
			found = n
		}
	}
	return found
}

func (w *world) state(id regions.NodeID) regions.State { return w.node(id).State }

func (w *world) await(t *testing.T, what string, is func() bool) {
	t.Helper()
	if err := poll.For(5*time.Millisecond, 30*time.Second, what, is); err != nil {
		t.Fatalf("%v; nodes %+v", err, w.tracker.Nodes())
	}
}

// NodeFailed implements gateway.Outside.
func (w *world) NodeFailed(_ string, id regions.NodeID, dead bool) { w.tracker.Failed(id, dead) }

// NodeUnproven implements gateway.Outside.
func (w *world) NodeUnproven(_ string, id regions.NodeID, cause error) {
	w.fakes.Add(1)
	w.tracker.Unproven(id, cause)
}

// Alive implements gateway.Outside.
func (w *world) Alive(ctx context.Context, n regions.Proposal, hold *tls.Config) error {
	return verify.Alive(ctx, verify.AliveClient(hold), n.URL)
}

// Link implements gateway.Outside.
func (w *world) Link(regions.Proposal) http.RoundTripper { return nil }
