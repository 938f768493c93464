package edge

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/control"
	"github.com/quorate/quorate/internal/keeper"
	"github.com/quorate/quorate/internal/peer"
	"github.com/quorate/quorate/internal/replica"
	"github.com/quorate/quorate/internal/sources"
	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/distance"
)

// links are the ways to the gateways of other regions, and what is measured on them.
type links struct {
	peers *peer.Peers // nil where the file has no peer section
	// credentials are what this gateway shows to others; nil as peers.
	credentials *peer.Credentials
	listener    net.Listener

	mu        sync.Mutex
	bounds    regions.Bounds
	distances map[string]*distance.Estimator // by region
	found     []peer.Remote                  // gateways that Consul names
	left      map[peer.Remote]time.Time      // gateways that it has named, and since when it does not
	group     []string                       // addresses of the control group's members
}

// errNoPeers: a node that is a gateway cannot be reached without an identity; the configuration's check
// lets no such file through.
var errNoPeers = errors.New("edge: this gateway has no peer identity")

func boundsOf(c config.Classes) regions.Bounds { return regions.Bounds{c.Fast, c.Medium, c.Slow} }

func newLinks(cfg *config.Config) (*links, error) {
	l := &links{distances: make(map[string]*distance.Estimator), left: make(map[peer.Remote]time.Time)}
	if err := l.measure(cfg); err != nil {
		return nil, err
	}
	return l, nil
}

// measure starts, keeps and ends the measurement of round trips, so that it fits cfg.
func (l *links) measure(cfg *config.Config) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	bounds := boundsOf(cfg.Classes)
	for name := range l.distances {
		if _, ok := cfg.Regions[name]; !ok {
			delete(l.distances, name)
		}
	}
	for name, r := range cfg.Regions {
		if l.distances[name] == nil || l.bounds != bounds {
			e, err := distance.New(distance.Config{Seed: r.RTT, Bounds: bounds})
			if err != nil {
				return err
			}
			l.distances[name] = e
		}
	}
	l.bounds = bounds
	return nil
}

// observe takes in a measured round trip.
func (l *links) observe(region string, rtt time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if d := l.distances[region]; d != nil {
		d.Observe(rtt, time.Now())
	}
}

// seed sets the round trip to expect of a region, if the file says nothing of it.
func (l *links) seed(region string, rtt time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if d := l.distances[region]; d != nil && d.RTT() == 0 {
		d.Seed(rtt)
	}
}

// find takes over who is found, and makes links to them and to those of the file.
func (l *links) find(cfg *config.Config, found []peer.Remote) error {
	l.mu.Lock()
	for _, f := range l.found {
		if !slices.Contains(found, f) {
			l.left[f] = time.Now()
		}
	}
	for _, f := range found {
		delete(l.left, f)
	}
	l.found = found
	l.mu.Unlock()
	return l.connect(cfg)
}

// lingering is how long a link outlives the gateway's name in Consul: the table goes on with it for a handover.
const lingering = 2 * handover

// forget takes down links that have lingered.
func (l *links) forget(cfg *config.Config) error {
	l.mu.Lock()
	before := len(l.left)
	maps.DeleteFunc(l.left, func(_ peer.Remote, since time.Time) bool { return time.Since(since) > lingering })
	after := len(l.left)
	l.mu.Unlock()
	if after == before {
		return nil
	}
	return l.connect(cfg)
}

// connect makes links to the gateways of the file, to those found and to the control group's; nothing without an
// identity.
func (l *links) connect(cfg *config.Config) error {
	if l.peers == nil {
		return nil
	}
	all := remotes(cfg)
	l.mu.Lock()
	defer l.mu.Unlock() // also so that two sets are not applied in another order than made
	for _, f := range slices.AppendSeq(slices.Clone(l.found), maps.Keys(l.left)) {
		r, other := cfg.Regions[f.Region]
		if !other || f.Region == cfg.Region || r.Via == regions.ViaDirect.String() || slices.Contains(r.Gateways, f.Address) {
			continue
		}
		f.Seed = r.RTT
		all = append(all, f)
	}
	return l.peers.SetRemotes(l.withGroup(cfg, all))
}

// withGroup adds those whom this gateway shall join, and the members that it knows of by now.
func (l *links) withGroup(cfg *config.Config, all []peer.Remote) []peer.Remote {
	for _, address := range slices.Concat(cfg.Control.Join, l.group) {
		known := slices.ContainsFunc(all, func(r peer.Remote) bool { return r.Address == address })
		if !known && address != cfg.Peer.Address && address != cfg.Peer.Advertise {
			all = append(all, peer.Remote{Address: address})
		}
	}
	return all
}

// filed returns the addresses that the file, or Consul, leads to.
func (l *links) filed(cfg *config.Config) []string {
	all := slices.Clone(cfg.Control.Join)
	for _, r := range remotes(cfg) {
		all = append(all, r.Address)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.found {
		all = append(all, f.Address)
	}
	return all
}

// members takes over where the control group's members are reached.
func (l *links) members(cfg *config.Config, addresses []string) error {
	l.mu.Lock()
	l.group = addresses
	l.mu.Unlock()
	return l.connect(cfg)
}

// distance returns a region's round trip, its class and whether it was measured.
func (l *links) distance(region string) (time.Duration, regions.Class, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.distances[region]
	if d == nil {
		return 0, regions.Fast, false
	}
	return d.RTT(), d.Class(), d.Measured()
}

// remotes lists the gateways of a configuration's other regions.
func remotes(cfg *config.Config) []peer.Remote {
	var all []peer.Remote
	for name, r := range cfg.Regions {
		if name == cfg.Region || r.Via == regions.ViaDirect.String() {
			continue
		}
		for _, address := range r.Gateways {
			all = append(all, peer.Remote{Region: name, Address: address, Seed: r.RTT})
		}
	}
	return all
}

// transport returns what carries requests to a node that is a region's gateway, nil for any other.
func (l *links) transport(n regions.Proposal) http.RoundTripper {
	if n.Source != sources.Gateway || l.peers == nil {
		return nil
	}
	return l.peers.Transport(n.Region, hostOf(n.URL))
}

// checking is transport for checks: the gateway may only show what its own nodes can do.
func (l *links) checking(n regions.Proposal) http.RoundTripper {
	t := l.transport(n)
	if t == nil {
		return nil
	}
	return localOnly{t}
}

// alive asks a gateway over its link.
func (l *links) alive(ctx context.Context, n regions.Proposal) error {
	if l.peers == nil {
		return errNoPeers
	}
	return l.peers.Alive(ctx, n.Region, hostOf(n.URL))
}

// localOnly marks requests that the receiver must not pass on.
type localOnly struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t localOnly) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set(mcp.HeaderHops, "0")
	return t.RoundTripper.RoundTrip(r)
}

func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Host
}

// openPeers starts the peer listener and the links, where the file has an identity for them.
func (e *Edge) openPeers(cfg *config.Config) error {
	if cfg.Peer.CertFile == "" {
		return nil
	}
	credentials, err := peer.LoadCredentials(cfg.Peer.CAFile, cfg.Peer.CertFile, cfg.Peer.KeyFile)
	if err != nil {
		return err
	}
	e.links.credentials = credentials
	e.links.peers, err = peer.New(peer.Config{
		Credentials: credentials,
		Version:     e.opts.Version,
		Advertise:   e.advertised(cfg),
		Cluster:     e.cluster,
		Foreign:     e.foreign,
		Signal:      e.signaled,
		Report:      e.region.report,
		Received:    func(from peer.Identity, payload []byte) { e.region.received(from, payload) },
		RTT:         func(region, _ string, rtt time.Duration) { e.links.observe(region, rtt) },
		Forward: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case strings.HasPrefix(r.URL.Path, control.Path):
				e.controlled(w, r)
			case strings.HasPrefix(r.URL.Path, replica.Path), strings.HasPrefix(r.URL.Path, keeper.Path):
				e.serveCopies(w, r)
			case e.carry(w, r):
			default:
				from, _ := peer.From(r.Context())
				e.gateway.ServeForwarded(w, r, from.Region)
			}
		}),
		Logger: e.log,
	})
	return err
}

// listenPeers takes the port for other gateways.
func (e *Edge) listenPeers(cfg *config.Config) (err error) {
	if cfg.Peer.Address != "" {
		e.links.listener, err = net.Listen("tcp", cfg.Peer.Address)
	}
	return err
}

// servePeers serves other gateways.
func (e *Edge) servePeers() {
	l := e.links.listener
	if l == nil {
		return
	}
	e.done.Go(func() {
		if err := e.links.peers.Serve(l); err != nil {
			e.failed <- err
		}
	})
}

// closePeers ends the links, and what other gateways have passed on.
func (e *Edge) closePeers(ctx context.Context) {
	if e.links.peers != nil {
		_ = e.links.peers.Close(ctx) // what does not end in time is cut
	}
	if e.links.listener != nil {
		_ = e.links.listener.Close()
	}
}

// PeerAddr returns the address that other gateways are served on, with the real port; "" for none.
func (e *Edge) PeerAddr() string {
	if e.links.listener == nil {
		return ""
	}
	return e.links.listener.Addr().String()
}

// up reports whether a gateway of the region answers.
func (l *links) up(region string) bool {
	for _, link := range l.list() {
		if link.Region == region && link.Up && !link.In {
			return true
		}
	}
	return false
}

// to returns the link by which a gateway is asked, the one that is up if there are several; false without one.
func (l *links) to(gateway string) (best peer.Link, found bool) {
	for _, link := range l.list() {
		if link.Gateway == gateway && !link.In && (!found || link.Up) {
			best, found = link, true
		}
	}
	return best, found
}

// list returns the links as they are.
func (l *links) list() []peer.Link {
	if l.peers == nil {
		return nil
	}
	return l.peers.Links()
}
