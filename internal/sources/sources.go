// Package sources makes the sources of a service's nodes out of the configuration: static lists, other regions'
// gateways and pools, Consul and DNS. It must not know verification, the table, traffic, or what a source's answer
// leads to.
package sources

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/consul"
	"github.com/quorate/quorate/regions/discovery"
	"github.com/quorate/quorate/regions/static"
)

// Gateway is the source of nodes that are the gateways of other regions.
const Gateway = "gateway"

// Maker makes sources. Its methods are for one goroutine at a time.
type Maker struct {
	log    *slog.Logger
	client *consul.Client // nil where Consul is not used
	peers  *Peers         // nil where gateways are not looked for
}

// New returns a Maker for what of cfg a reload cannot change.
func New(cfg *config.Config, log *slog.Logger) (*Maker, error) {
	m := &Maker{log: log}
	c := cfg.Consul
	if !c.Enabled() {
		return m, nil
	}
	var err error
	m.client, err = consul.NewClient(consul.ClientConfig{
		Address: c.Address, TokenFile: c.TokenFile, CAFile: c.CAFile, CertFile: c.CertFile, KeyFile: c.KeyFile,
		TLSName: c.TLSName, Timeout: c.Timeout, Logger: log,
	})
	if err != nil {
		return nil, fmt.Errorf("sources: %w", err)
	}
	if c.Peers {
		if m.peers, err = newPeers(cfg, m.client); err != nil {
			m.client.Close()
			return nil, fmt.Errorf("sources: %w", err)
		}
	}
	return m, nil
}

// Consul returns the client of the agent that all sources share, nil where Consul is not used.
func (m *Maker) Consul() *consul.Client { return m.client }

// Peers returns the gateways found in Consul, nil where they are not looked for.
func (m *Maker) Peers() *Peers { return m.peers }

// Close drops what sources have shared; they must have ended.
func (m *Maker) Close() {
	if m.client != nil {
		m.client.Close()
	}
}

// Of returns the sources of the i-th service, in the order of the file, then the other regions. known is what
// each source had named before the process started.
func (m *Maker) Of(cfg *config.Config, i int, known map[string][]regions.Proposal) ([]discovery.Supervised, error) {
	b := builder{m: m, cfg: cfg, service: &cfg.Services[i], known: known, names: map[string]int{}}
	var problems []error
	for _, d := range b.service.Discover {
		problems = append(problems, b.discover(d))
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Regions)) {
		if name != cfg.Region {
			problems = append(problems, b.region(name, cfg.Regions[name]))
		}
	}
	b.found()
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("sources: service %s: %w", b.service.Name, err)
	}
	return b.all, nil
}

// builder collects one service's sources.
type builder struct {
	m       *Maker
	cfg     *config.Config
	service *config.Service
	known   map[string][]regions.Proposal
	names   map[string]int
	all     []discovery.Supervised
}

// name returns a source's name, which a number follows where it is taken.
func (b *builder) name(name string) string {
	b.names[name]++
	if n := b.names[name]; n > 1 {
		return fmt.Sprintf("%s#%d", name, n)
	}
	return name
}

// add takes a source whose settings are those of key.
func (b *builder) add(name string, s discovery.Source, key ...any) error {
	text, err := json.Marshal(append(key, b.service.Identity))
	if err != nil {
		return err
	}
	b.all = append(b.all, discovery.Supervised{ID: discovery.ID{Name: name, Key: string(text)}, Source: s})
	return nil
}

func (b *builder) discover(d config.Discover) error {
	switch {
	case d.Static != nil:
		return b.static(*d.Static)
	case d.Consul != nil:
		return b.consul(d.Consul)
	case d.DNS != nil:
		return b.dns(*d.DNS)
	}
	return nil
}

// straight reports whether nodes of a region are used by themselves: those behind the region's gateways are the
// gateways' business.
func (b *builder) straight(region string) bool {
	if region == b.cfg.Region {
		return true
	}
	r, ok := b.cfg.Regions[region]
	return !ok || r.Via == regions.ViaDirect.String()
}

func (b *builder) static(d config.Static) error {
	region := d.Region
	if region == "" {
		region = b.cfg.Region
	}
	if !b.straight(region) {
		return nil
	}
	return b.list("static:"+region, region, d.Nodes)
}

// list is a source of nodes that are written down.
func (b *builder) list(name, region string, listed []config.Node) error {
	nodes := make([]static.Node, 0, len(listed))
	for _, n := range listed {
		nodes = append(nodes, static.Node{ID: n.ID, URL: n.URL, Weight: n.Weight})
	}
	source, err := static.New(static.Config{Service: b.service.Name, Region: region, Nodes: nodes})
	if err != nil {
		return err
	}
	proposals := source.Proposals()
	for i := range proposals {
		proposals[i].Identity = b.service.Identity.Of()
	}
	return b.add(b.name(name), fixed(proposals), region, listed)
}

// region adds a region's gateways, or its nodes as the file lists them.
func (b *builder) region(name string, r config.Region) error {
	if r.Via == regions.ViaDirect.String() {
		nodes := r.Pools[b.service.Name].Nodes
		if len(nodes) == 0 {
			return nil
		}
		return b.list("pools:"+name, name, nodes)
	}
	if len(r.Gateways) == 0 {
		return nil
	}
	all := make([]regions.Proposal, 0, len(r.Gateways))
	for _, address := range r.Gateways {
		all = append(all, gatewayNode(b.service, name, address))
	}
	return b.add(b.name("gateways:"+name), fixed(all), r.Gateways, b.service.Path)
}

// gatewayNode is another region's gateway, which stands for the region's whole pool.
func gatewayNode(s *config.Service, region, address string) regions.Proposal {
	return regions.Proposal{
		ID: regions.NodeID(region + "@" + address), Service: s.Name, Region: region,
		URL: "https://" + address + s.Path, Source: Gateway, Weight: 1,
	}
}

// fixed is a source that never changes; another configuration makes another one.
type fixed []regions.Proposal

// Run implements discovery.Source.
func (f fixed) Run(ctx context.Context, emit func(discovery.Answer)) error {
	emit(discovery.Answer{Nodes: slices.Clone(f), Removes: true})
	<-ctx.Done()
	return nil
}
