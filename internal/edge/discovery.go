package edge

import (
	"cmp"
	"context"
	"net"
	"time"

	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/lastgood"
	"github.com/quorate/quorate/internal/peer"
	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/consul"
)

// keepEvery is the least time between two looks at what is to be kept on disk.
const keepEvery = 5 * time.Second

// openKept opens what an earlier life of this gateway verified; nothing where the file names no data_dir.
func (e *Edge) openKept(cfg *config.Config) (lastgood.Set, error) {
	if cfg.DataDir == "" {
		return lastgood.Set{}, nil
	}
	var kept lastgood.Set
	var err error
	e.kept, kept, err = lastgood.Open(lastgood.Config{Dir: cfg.DataDir, Logger: e.log})
	return kept, err
}

// keep has the present set of verified nodes written to disk. No node at all is no set to go on with.
func (e *Edge) keep() {
	if e.kept == nil {
		return
	}
	if set := e.trackers.verified(); len(set) > 0 {
		e.kept.Keep(set)
	}
}

// verified is every node that was verified, with who named it.
func (t *trackers) verified() lastgood.Set {
	t.mu.RLock()
	defer t.mu.RUnlock()
	set := make(lastgood.Set)
	for name, n := range t.byID {
		if kept := n.remember(); len(kept) > 0 {
			set[name] = kept
		}
	}
	return set
}

// remember is what there is to know of the nodes that were verified.
func (n *tracked) remember() []lastgood.Node {
	holders := make(map[regions.NodeID][]string)
	for _, s := range n.group.Status().Nodes {
		for _, h := range s.Holders {
			holders[s.ID] = append(holders[s.ID], h.Source)
		}
	}
	var kept []lastgood.Node
	for _, node := range n.Nodes() {
		if node.Facts != nil && len(holders[node.ID]) > 0 {
			kept = append(kept, lastgood.Node{Proposal: node.Proposal, Sources: holders[node.ID], Facts: node.Facts, LastSeen: node.LastSeen})
		}
	}
	return kept
}

// findPeers looks for other gateways until ctx ends.
func (e *Edge) findPeers(ctx context.Context) {
	p := e.sources.Peers()
	if p == nil {
		return
	}
	e.done.Go(func() {
		if err := p.Run(ctx, e.foundPeers); err != nil {
			e.log.Error("gateways are not looked for any more", "cause", err.Error())
		}
	})
}

// startDiscovery measures distances in Consul, and shows this gateway to others.
func (e *Edge) startDiscovery(ctx context.Context, cfg *config.Config) error {
	if client := e.sources.Consul(); client != nil {
		e.done.Go(func() { e.seedDistances(ctx, client) })
	}
	return e.register(ctx, cfg)
}

// foundPeers makes links to the gateways that Consul names.
func (e *Edge) foundPeers(found []consul.Gateway) {
	all := make([]peer.Remote, 0, len(found))
	for _, g := range found {
		all = append(all, peer.Remote{Region: g.Region, Address: g.Address})
	}
	if err := e.links.find(e.cfg.Load(), all); err != nil {
		e.log.Warn("gateways found in Consul are not linked", "cause", err.Error())
	}
}

// register shows this gateway in Consul until shutdown begins.
func (e *Edge) register(ctx context.Context, cfg *config.Config) error {
	if !cfg.Consul.Register {
		return nil
	}
	address := cmp.Or(cfg.Consul.Advertise, cfg.Peer.Advertise)
	if address == "" {
		_, port, err := net.SplitHostPort(e.PeerAddr())
		if err != nil {
			return err
		}
		host, _, _ := net.SplitHostPort(cfg.Peer.Address)
		address = net.JoinHostPort(host, port)
	}
	scheme := "http://"
	if cfg.Listen.TLS.Enabled() {
		scheme = "https://"
	}
	r, err := consul.NewRegistrar(consul.RegistrarConfig{
		Client: e.sources.Consul(), ConsulService: cfg.Consul.Service, Name: cfg.Name, Region: cfg.Region, Version: e.opts.Version,
		Address: address, URL: scheme + e.dataAddr.String(), Logger: e.log,
	})
	if err != nil {
		return err
	}
	ctx, e.withdraw = context.WithCancel(ctx)
	e.done.Go(func() {
		if err := r.Run(ctx); err != nil {
			e.log.Warn("this gateway is not deregistered", "cause", err.Error())
		}
	})
	return nil
}

// seedDistances takes Consul's network coordinates for the round trips that are not measured yet.
func (e *Edge) seedDistances(ctx context.Context, client *consul.Client) {
	trips, err := client.RoundTrips(ctx, e.cfg.Load().Consul.Datacenters)
	if err != nil {
		e.log.Debug("no network coordinates", "cause", err.Error())
		return
	}
	for region, rtt := range trips {
		e.links.seed(region, rtt)
	}
}

// straightDistances measures the regions whose nodes are reached straight, where no link does: a check's round
// trip is the path's and what a list costs the node.
func (w *writer) straightDistances() {
	shortest := make(map[string]time.Duration)
	for _, s := range w.cfg.Services {
		for _, n := range w.trackers.nodes(s.Name) {
			r, other := w.cfg.Regions[n.Region]
			if !other || n.Region == w.cfg.Region || viaOf(r.Via) != regions.ViaDirect || n.Latency <= 0 || time.Since(n.LastSeen) > 3*s.Checks.Interval {
				continue
			}
			if least, ok := shortest[n.Region]; !ok || n.Latency < least {
				shortest[n.Region] = n.Latency
			}
		}
	}
	for region, rtt := range shortest {
		w.links.observe(region, rtt)
	}
}
