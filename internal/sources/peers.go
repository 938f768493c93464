package sources

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/consul"
	"github.com/quorate/quorate/regions/discovery"
)

// Peers are the gateways that Consul names, by datacenter.
type Peers struct {
	watch *consul.Gateways
	names []string // datacenters

	mu      sync.Mutex
	sets    map[string]peerSet
	changed chan struct{} // closed at the next change
}

// peerSet is what one datacenter last said, and who is known of it.
type peerSet struct {
	known   map[string]consul.Gateway // by address
	answers uint64
	last    consul.GatewaySet
}

func newPeers(cfg *config.Config, client *consul.Client) (*Peers, error) {
	watch, err := consul.NewGateways(consul.GatewaysConfig{
		Client: client, ConsulService: cfg.Consul.Service, Datacenters: cfg.Consul.Datacenters, Self: cfg.Name,
		Wait: cfg.Consul.Wait, MaxStale: cfg.Consul.MaxStale,
	})
	if err != nil {
		return nil, err
	}
	return &Peers{watch: watch, names: slices.Sorted(maps.Keys(cfg.Consul.Datacenters)), sets: map[string]peerSet{}, changed: make(chan struct{})}, nil
}

func (p *Peers) datacenters() []string { return p.names }

// Run asks until ctx ends. use is told everybody who is known, before any source names them: a link must be
// there before a node is checked over it.
func (p *Peers) Run(ctx context.Context, use func([]consul.Gateway)) error {
	return p.watch.Run(ctx, func(s consul.GatewaySet) {
		p.mu.Lock()
		set := p.sets[s.Datacenter]
		set.known = heard(set.known, s)
		set.last, set.answers = s, set.answers+1
		p.sets[s.Datacenter] = set
		all := p.known()
		p.mu.Unlock()
		use(all)
		p.mu.Lock()
		close(p.changed)
		p.changed = make(chan struct{})
		p.mu.Unlock()
	})
}

// heard is who is known of a datacenter after an answer: nobody is forgotten for silence.
func heard(known map[string]consul.Gateway, s consul.GatewaySet) map[string]consul.Gateway {
	if s.Err != nil {
		return known
	}
	next := map[string]consul.Gateway{}
	if !s.Removes {
		maps.Copy(next, known)
	}
	for _, g := range s.Gateways {
		next[g.Address] = g
	}
	return next
}

// known returns everybody, by address; p.mu is held.
func (p *Peers) known() []consul.Gateway {
	all := map[string]consul.Gateway{}
	for _, set := range p.sets {
		maps.Copy(all, set.known)
	}
	out := make([]consul.Gateway, 0, len(all))
	for _, address := range slices.Sorted(maps.Keys(all)) {
		out = append(out, all[address])
	}
	return out
}

// peerSource is the gateways of one datacenter as the nodes of a service.
type peerSource struct {
	peers      *Peers
	datacenter string
	cfg        *config.Config
	service    *config.Service
}

// Run implements discovery.Source.
func (s *peerSource) Run(ctx context.Context, emit func(discovery.Answer)) error {
	told := uint64(0)
	for {
		s.peers.mu.Lock()
		set, changed := s.peers.sets[s.datacenter], s.peers.changed
		s.peers.mu.Unlock()
		if set.answers != told {
			told = set.answers
			emit(s.answer(set.last))
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

func (s *peerSource) answer(set consul.GatewaySet) discovery.Answer {
	a := discovery.Answer{Removes: set.Removes, Err: set.Err, Voices: []discovery.Voice{set.Voice}}
	for _, g := range set.Gateways {
		r, ok := s.cfg.Regions[g.Region]
		if ok && g.Region != s.cfg.Region && r.Via != regions.ViaDirect.String() && !slices.Contains(r.Gateways, g.Address) {
			a.Nodes = append(a.Nodes, gatewayNode(s.service, g.Region, g.Address))
		}
	}
	return a
}
