package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/quorate/quorate/gateway/breaker"
	"github.com/quorate/quorate/gateway/listen"
	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/retry"
	"github.com/quorate/quorate/gateway/route"
	"github.com/quorate/quorate/gateway/session"
	"github.com/quorate/quorate/gateway/upstream"
	"github.com/quorate/quorate/regions"
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
	SlowStart            time.Duration  // 0: a node that became healthy takes its full share at once
	Session              session.Config // its wiring fields are filled in here
}

// Outside is what the data plane asks of the world around it.
type Outside interface {
	// NodeFailed is told what traffic saw of a node. It must not block.
	NodeFailed(service string, id regions.NodeID, dead bool)
	// Alive asks the node at url, on a connection of its own, for any answer at all.
	Alive(ctx context.Context, url string) error
}

// fleet is the runtime of all services and nodes. Only Publish changes it, one call at a time.
type fleet struct {
	log      *slog.Logger
	services map[string]*service
	nodes    map[nodeKey]*upstream.Node
}

type nodeKey struct {
	service string
	id      regions.NodeID
	url     string
}

func newFleet(log *slog.Logger) *fleet {
	return &fleet{log: log, services: make(map[string]*service), nodes: make(map[nodeKey]*upstream.Node)}
}

// maxHandles bounds the task ids and request states remembered per service.
const maxHandles = 200_000

// Publish makes t the table that requests load from now on. Requests under way finish on the one
// they have. It must be called by one writer at a time; on an error the old table stays.
func (g *Gateway) Publish(t *regions.Table, services []Service, hosts, origins []string) error {
	v := &view{table: t, guard: newGuard(hosts, origins), byPath: make(map[string]*pool, len(services))}
	used := make(map[nodeKey]bool)
	for _, s := range services {
		p, err := g.pool(t, s, used)
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
		p.listen.Changed()
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

func (g *Gateway) pool(t *regions.Table, s Service, used map[nodeKey]bool) (*pool, error) {
	ts := t.ByName[s.Name]
	if ts == nil {
		return nil, errors.New("not in the table")
	}
	svc, err := g.service(s)
	if err != nil {
		return nil, err
	}
	p := &pool{service: svc, settings: s, region: t.Region, table: ts, byID: make(map[regions.NodeID]int)}
	for i := range ts.Nodes {
		n := &ts.Nodes[i]
		key := nodeKey{s.Name, n.ID, n.URL}
		used[key] = true
		node, err := g.node(key, s)
		if err != nil {
			return nil, err
		}
		p.add(n, node)
	}
	p.lacking = p.uneven()
	svc.current.CompareAndSwap(nil, p) // a new service is asked for its pool before it is announced
	return p, nil
}

// add makes a verified node a member, and brings runtime and table to one opinion of its life.
func (p *pool) add(n *regions.Node, node *upstream.Node) {
	m := member{node: node, state: n.State, weight: n.Weight, since: n.Since}
	if n.Facts != nil {
		m.eras, m.stateful = n.Facts.Eras, n.Facts.Stateful
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

func (g *Gateway) node(key nodeKey, s Service) (*upstream.Node, error) {
	if n, ok := g.fleet.nodes[key]; ok {
		return n, nil
	}
	b, err := breaker.New(s.Breaker)
	if err != nil {
		return nil, err
	}
	n, err := upstream.New(upstream.Config{
		ID: key.id, URL: key.url, Connect: s.Connect, Suspect: s.Suspect, Probe: s.Probe, Breaker: b,
		Alive:    func(ctx context.Context) error { return g.cfg.Outside.Alive(ctx, key.url) },
		Observer: observer{g.cfg.Outside, key.service},
		Logger:   g.cfg.Logger.With("service", key.service),
	})
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

func (g *Gateway) service(s Service) (*service, error) {
	if svc, ok := g.fleet.services[s.Name]; ok {
		return svc, nil
	}
	svc := &service{name: s.Name, affinity: newAffinity(maxHandles), took: newDurations(s.Name, g.cfg.Duration)}
	var err error
	if svc.budget, err = retry.NewBudget(s.BudgetRatio, s.BudgetMin); err != nil {
		return nil, err
	}
	if svc.sessions, err = session.New(g.sessionConfig(svc, s)); err != nil {
		return nil, err
	}
	if svc.listen, err = listen.New(listen.Config{
		Pool:   svc.modernNodes,
		Logger: g.cfg.Logger.With("service", s.Name),
	}); err != nil {
		return nil, err
	}
	g.fleet.services[s.Name] = svc
	return svc, nil
}

func (g *Gateway) sessionConfig(svc *service, s Service) session.Config {
	c := s.Session
	c.Budget, c.Logger, c.Current = svc.budget, g.cfg.Logger, svc.statefulNow
	c.Hooks = session.Hooks{
		Migrated: func() { svc.counters.migrated.Add(1) },
		Lost:     func() { svc.counters.lost.Add(1) },
		Retried:  func() { svc.counters.retries.Add(1) },
		Unknown:  func() { svc.counters.count(mcp.Legacy, classCall, Unknown) },
	}
	return c
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
		return p.sessions.Count()
	}
	return 0
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

func (s *service) close(ctx context.Context) {
	s.listen.Close(ctx)
	s.sessions.Close(ctx)
}
