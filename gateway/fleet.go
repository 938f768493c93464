package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/retry"
	"github.com/quorate/quorate/gateway/route"
	"github.com/quorate/quorate/gateway/session"
	"github.com/quorate/quorate/gateway/shed"
	"github.com/quorate/quorate/gateway/upstream"
	"github.com/quorate/quorate/internal/breaker"
	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/identity"
)

// Service is the settings of one service.
type Service struct {
	Name, Path           string
	Routes               *route.Matcher
	Attempts             int     // per request, the first included; at least 1
	BudgetRatio          float64 // retries as a share of requests, 0 to 1
	BudgetMin            int     // retries per second that are always allowed
	RequestStateAffinity bool
	Connect              time.Duration
	Suspect              time.Duration
	Probe                time.Duration
	Breaker              breaker.Config
	SlowStart            time.Duration // 0: a node that became healthy takes its full share at once
	Class                regions.Class // of requests without a route
	Spill                regions.Spill // of requests without a route
	Limits               shed.Config
	Ledger               Keyed          // of routes that have the ledger
	Session              session.Config // its wiring fields are filled in here
	// Trust holds the authorities that https nodes' certificates may come from; nil means the system's. Another
	// set makes new connections to all of them.
	Trust *x509.CertPool
}

// Outside is what the data plane asks of the world around it.
type Outside interface {
	// NodeFailed is told what traffic saw of a node. It must not block.
	NodeFailed(service string, id regions.NodeID, dead bool)
	// NodeUnproven is told that another than the node answers at its address. It must not block.
	NodeUnproven(service string, id regions.NodeID, cause error)
	// Alive asks a node for any answer at all, on a connection of its own that is held to hold (nil: no TLS) or, a
	// region's gateway, over its link. It returns identity.ErrIdentity if another than the node answers.
	Alive(ctx context.Context, node regions.Proposal, hold *tls.Config) error
	// Link returns what carries requests to a node that is another region's gateway, nil for any other node.
	Link(node regions.Proposal) http.RoundTripper
}

// fleet is the runtime of all services and nodes. Only Publish changes it, one call at a time.
type fleet struct {
	log      *slog.Logger
	services map[string]*service
	nodes    map[nodeKey]*upstream.Node
	regions  map[string]*region
}

// nodeKey tells nodes apart: connections that were proven for another identity, or by other authorities, are
// another node's.
type nodeKey struct {
	service  string
	id       regions.NodeID
	url      string
	host     string
	identity regions.Identity
	trust    *x509.CertPool // nil for a node without TLS
}

func (s *service) key(n *regions.Node) nodeKey {
	key := nodeKey{service: s.name, id: n.ID, url: n.URL, host: n.Host, identity: n.Identity, trust: s.trust}
	if scheme, _, _ := strings.Cut(n.URL, ":"); strings.EqualFold(scheme, "http") {
		key.trust = nil
	}
	return key
}

func newFleet(log *slog.Logger) *fleet {
	return &fleet{log: log, services: make(map[string]*service), nodes: make(map[nodeKey]*upstream.Node), regions: make(map[string]*region)}
}

// maxHandles bounds the task ids and request states remembered per service.
const maxHandles = 200_000

// Publish makes t the table that requests load from now on. Requests under way finish on the one
// they have. It must be called by one writer at a time; on an error the old table stays.
func (g *Gateway) Publish(t *regions.Table, services []Service, hosts, origins []string) error {
	v := &view{table: t, guard: newGuard(hosts, origins), byPath: make(map[string]*pool, len(services))}
	for i := range t.Regions[1:] {
		r, err := g.fleet.region(&t.Regions[i+1])
		if err != nil {
			return fmt.Errorf("gateway: publish: region %s: %w", t.Regions[i+1].Name, err)
		}
		v.regions = append(v.regions, r)
	}
	used := make(map[nodeKey]bool)
	for _, s := range services {
		p, err := g.pool(v, s, used)
		if err != nil {
			return fmt.Errorf("gateway: publish: service %s: %w", s.Name, err)
		}
		v.byPath[s.Path] = p
	}
	g.view.Store(v)
	g.announce(v)
	g.retire(v, used)
	return nil
}

// announce tells the long-lived parts of each service that its pool has changed.
func (g *Gateway) announce(v *view) {
	for _, p := range v.byPath {
		p.current.Store(p)
		p.fronts.changed()
	}
}

// retire lets go of nodes and services that are in no table any more.
func (g *Gateway) retire(v *view, used map[nodeKey]bool) {
	for key, node := range g.fleet.nodes {
		if !used[key] {
			node.Leave()
			delete(g.fleet.nodes, key)
		}
	}
	for name, s := range g.fleet.services {
		if v.table.ByName[name] == nil {
			go s.close(context.Background())
			delete(g.fleet.services, name)
		}
	}
}

func (g *Gateway) pool(v *view, s Service, used map[nodeKey]bool) (*pool, error) {
	ts := v.table.ByName[s.Name]
	if ts == nil {
		return nil, errors.New("not in the table")
	}
	svc, err := g.service(s)
	if err != nil {
		return nil, err
	}
	p := &pool{service: svc, gateway: g.cfg.Name, settings: s, table: v.table, entry: ts, policies: svc.policies(s), byID: make(map[regions.NodeID]int, len(ts.Nodes))}
	for i := range ts.Nodes {
		n := &ts.Nodes[i]
		key := svc.key(n)
		used[key] = true
		node, err := g.node(key, n, s, v)
		if err != nil {
			return nil, err
		}
		p.add(n, node)
	}
	svc.expect(p)
	p.divide(v)
	p.lacking = p.uneven()
	svc.current.CompareAndSwap(nil, p) // a new service is asked for its pool before it is announced
	return p, nil
}

// expect lets the region's own pool take more on when it has become larger than it ever was.
func (s *service) expect(p *pool) {
	span := p.entry.Pools[0]
	if nodes := span.To - span.From; nodes > s.nodes {
		s.limiter.Grow(shed.PerNode * (nodes - max(s.nodes, 1))) // the first node is what learning begins with
		s.nodes = nodes
	}
}

// add makes a verified node a member, and brings runtime and table to one opinion of its life.
func (p *pool) add(n *regions.Node, node *upstream.Node) {
	m := member{node: node, state: n.State, weight: n.Weight, since: n.Since}
	if n.Facts != nil {
		m.trait = trait{n.Facts.Eras, n.Facts.Stateful, regions.GroupsOf(n.Facts)}
		p.groups |= m.trait.groups
	}
	switch n.State {
	case regions.Healthy:
		node.Revive(n.LastSeen)
	case regions.Degraded, regions.Unhealthy:
		// A node that fails its checks may be gone altogether; then idle streams must not wait on it.
		node.Suspect()
	}
	p.byID[n.ID] = len(p.members)
	p.members = append(p.members, m)
}

// divide makes the regions' parts of the pool.
func (p *pool) divide(v *view) {
	p.regions = make([]poolRegion, len(v.table.Regions))
	for i := range p.regions {
		r, span := &p.regions[i], p.entry.Pools[i]
		r.info = &v.table.Regions[i]
		if i > 0 {
			r.region = v.regions[i-1]
		}
		for j := span.From; j < span.To; j++ {
			p.members[j].region = i
		}
		r.build(p.members[span.From:span.To], span.From)
	}
}

func (g *Gateway) node(key nodeKey, at *regions.Node, s Service, v *view) (*upstream.Node, error) {
	if n, ok := g.fleet.nodes[key]; ok {
		return n, nil
	}
	b, err := breaker.New(s.Breaker)
	if err != nil {
		return nil, err
	}
	proposal := at.Proposal
	hold, err := identity.ForNode(proposal, key.trust)
	if err != nil {
		return nil, err
	}
	c := upstream.Config{
		ID: key.id, URL: key.url, Host: proposal.Authority(), Connect: s.Connect, Suspect: s.Suspect, Probe: s.Probe, Breaker: b, TLS: hold,
		Alive:    func(ctx context.Context) error { return g.cfg.Outside.Alive(ctx, proposal, hold) },
		Link:     g.cfg.Outside.Link(proposal),
		Labels:   []upstream.Field{{Name: mcp.HeaderRegion, Value: at.Region}, {Name: mcp.HeaderNode, Value: string(at.ID)}},
		Lease:    g.cfg.Lease,
		Observer: observer{g.cfg.Outside, key.service},
		Logger:   g.cfg.Logger.With("service", key.service),
	}
	if r := g.fleet.regions[at.Region]; r != nil && at.Region != v.table.Region {
		c.RTT = func() time.Duration { return time.Duration(r.rtt.Load()) }
	}
	if c.Link != nil {
		// The link is asked, which takes one round trip, where a node has to be connected to first.
		c.Suspect, c.Probe = s.Suspect/2, s.Probe/2
	}
	n, err := upstream.New(c)
	if err == nil {
		g.fleet.nodes[key] = n
	}
	return n, err
}

type observer struct {
	outside Outside
	service string
}

// NodeFailed implements upstream.Observer.
func (o observer) NodeFailed(id regions.NodeID, dead bool) { o.outside.NodeFailed(o.service, id, dead) }

// NodeUnproven implements upstream.Observer.
func (o observer) NodeUnproven(id regions.NodeID, cause error) {
	o.outside.NodeUnproven(o.service, id, cause)
}

// service returns a service's runtime, with the authorities of s: the same ones, read again, are no others.
func (g *Gateway) service(s Service) (*service, error) {
	if svc, ok := g.fleet.services[s.Name]; ok {
		if !svc.trust.Equal(s.Trust) {
			svc.trust = s.Trust
		}
		return svc, nil
	}
	svc := &service{name: s.Name, trust: s.Trust, affinity: newAffinity(maxHandles), took: newDurations(s.Name, g.cfg.Duration), routeLoad: make(map[string]*atomic.Int64)}
	var err error
	if svc.budget, err = retry.NewBudget(s.BudgetRatio, s.BudgetMin); err != nil {
		return nil, err
	}
	if svc.limiter, err = shed.New(s.Limits); err != nil {
		return nil, err
	}
	svc.fronts.open = func(sc scope) (*front, error) { return g.front(svc, s, sc) }
	if _, err = svc.fronts.get(scope{}); err != nil {
		return nil, err
	}
	g.fleet.services[s.Name] = svc
	return svc, nil
}

// Table returns the table that requests load now, nil before the first.
func (g *Gateway) Table() *regions.Table { return g.view.Load().table }

// Node returns a node of the present table.
func (g *Gateway) Node(service string, id regions.NodeID) (*upstream.Node, bool) {
	p, ok := g.named(service)
	if !ok {
		return nil, false
	}
	i, ok := p.byID[id]
	if !ok {
		return nil, false
	}
	return p.members[i].node, true
}

func (g *Gateway) named(service string) (*pool, bool) {
	v := g.view.Load()
	if v.table == nil || v.table.ByName[service] == nil {
		return nil, false
	}
	p, ok := v.byPath[v.table.ByName[service].Path]
	return p, ok
}

// Sessions returns how many legacy sessions a service holds here.
func (g *Gateway) Sessions(service string) int {
	if p, ok := g.named(service); ok {
		return p.fronts.sessions()
	}
	return 0
}

// OwnSessions returns the sessions of a service's agents, without those that are kept for other regions' gateways.
func (g *Gateway) OwnSessions(service string) (*session.Manager, bool) {
	p, ok := g.named(service)
	if !ok {
		return nil, false
	}
	f, err := p.fronts.get(scope{})
	if err != nil {
		return nil, false
	}
	return f.sessions, true
}

// CloseIdle closes connections to nodes that nobody used for a while.
func (g *Gateway) CloseIdle() {
	for _, p := range g.view.Load().byPath {
		for i := range p.members {
			p.members[i].node.CloseIdle()
		}
	}
}

// Close ends sessions' and listeners' streams in the form their protocol has for it, within ctx.
func (g *Gateway) Close(ctx context.Context) {
	g.close.Do(func() { close(g.closing) })
	var wg sync.WaitGroup
	for _, p := range g.view.Load().byPath {
		wg.Go(func() { p.close(ctx) })
	}
	wg.Wait()
}

// Release closes every connection to nodes. Nothing may be served afterwards.
func (g *Gateway) Release() {
	for _, p := range g.view.Load().byPath {
		for i := range p.members {
			p.members[i].node.Close()
		}
	}
}

func (s *service) close(ctx context.Context) { s.fronts.close(ctx) }
