package gateway

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/quorate/quorate/gateway/listen"
	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/session"
	"github.com/quorate/quorate/gateway/upstream"
	"github.com/quorate/quorate/regions"
)

// front keeps what outlives requests of one scope: legacy sessions and listen streams. Requests that other
// regions pass on have fronts of their own, so that what they leave behind never goes back where they came from.
type front struct {
	sessions *session.Manager
	listen   *listen.Hub
}

// fronts holds a service's fronts by scope. They are made when first asked for: at most two per region.
type fronts struct {
	open   func(scope) (*front, error)
	mu     sync.RWMutex
	all    map[scope]*front
	closed bool
}

// front drops what of a scope no front depends on.
func (s scope) front() scope {
	if s.local {
		return scope{local: true}
	}
	s.relayed = false
	return s
}

func (f *fronts) get(s scope) (*front, error) {
	s = s.front()
	f.mu.RLock()
	have := f.all[s]
	f.mu.RUnlock()
	if have != nil {
		return have, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.all[s] != nil:
		return f.all[s], nil
	case f.closed, len(f.all) >= maxFronts:
		return nil, fmt.Errorf("gateway: %d fronts", len(f.all))
	}
	made, err := f.open(s)
	if err != nil {
		return nil, err
	}
	if f.all == nil {
		f.all = make(map[scope]*front)
	}
	f.all[s] = made
	return made, nil
}

// maxFronts bounds the fronts of one service.
const maxFronts = 4 * regions.MaxRegions

func (f *fronts) each(do func(*front)) {
	f.mu.RLock()
	all := make([]*front, 0, len(f.all))
	for _, one := range f.all {
		all = append(all, one)
	}
	f.mu.RUnlock()
	for _, one := range all {
		do(one)
	}
}

func (f *fronts) changed() { f.each(func(o *front) { o.listen.Changed() }) }

// sessions counts the legacy sessions of all fronts.
func (f *fronts) sessions() (n int) {
	f.each(func(o *front) { n += o.sessions.Count() })
	return n
}

func (f *fronts) close(ctx context.Context) {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	var wg sync.WaitGroup
	f.each(func(o *front) {
		wg.Go(func() {
			o.listen.Close(ctx)
			o.sessions.Close(ctx)
		})
	})
	wg.Wait()
}

// front makes the front of a scope.
func (g *Gateway) front(svc *service, settings Service, s scope) (*front, error) {
	c := settings.Session
	c.Budget, c.Logger, c.Adopts = svc.budget, g.cfg.Logger, s.via != ""
	if g.own(s) {
		c.Service, c.Keeper, c.Alone = svc.name, g.cfg.Keeper, g.cfg.Alone
	}
	c.Current = func() session.Pool { return svc.current.Load().stateful(s) }
	c.Hooks = session.Hooks{
		Migrated: func() { svc.counters.migrated.Add(1) },
		Lost:     func() { svc.counters.lost.Add(1) },
		Retried:  func() { svc.counters.retries.Add(1) },
		Unknown:  func() { svc.counters.count(mcp.Legacy, classCall, Unknown) },
	}
	sessions, err := session.New(c)
	if err != nil {
		return nil, err
	}
	hub, err := listen.New(listen.Config{
		Pool:   func() []listen.Node { return svc.current.Load().modernNodes(s) },
		Logger: g.cfg.Logger.With("service", svc.name),
	})
	if err != nil {
		sessions.Close(context.Background())
		return nil, err
	}
	return &front{sessions, hub}, nil
}

// passing is a node whose requests carry the gateways they have passed, because it is one itself.
type passing struct {
	*upstream.Node
	via string
}

// Do makes one attempt.
func (n passing) Do(ctx context.Context, r *upstream.Request) (*http.Response, error) {
	marked := *r
	marked.Via = n.via
	return n.Node.Do(ctx, &marked)
}

// reach returns a member as the work of a scope reaches it.
func (p *pool) reach(m *member, s scope) session.Node {
	if !m.node.Forwards() {
		return m.node
	}
	return passing{m.node, s.passed(p.gateway)}
}

// sessionPool shows a table's stateful legacy nodes to the sessions of a scope.
type sessionPool struct {
	p *pool
	s scope
}

func (p *pool) stateful(s scope) session.Pool { return sessionPool{p, s} }

// Pick implements session.Pool.
func (s sessionPool) Pick(exclude func(regions.NodeID) bool) (session.Node, bool) {
	y := s.p.policy(mcp.MethodInitialize, "", nil)
	c := s.p.newCandidates(s.s, y, needStateful, mcp.MethodInitialize)
	c.exclude, c.class = exclude, mcp.Hedge
	for i := range s.p.regions {
		if s.p.regions[i].info.State == regions.Evacuating {
			c.passed |= 1 << i // a session that begins there would soon have to leave
		}
	}
	i := c.next(time.Now())
	if i < 0 {
		return nil, false
	}
	return s.p.reach(&s.p.members[i], s.s), true
}

// Lookup implements session.Pool.
func (s sessionPool) Lookup(id regions.NodeID) (session.Node, bool) {
	i, ok := s.p.byID[id]
	if !ok {
		return nil, false
	}
	return s.p.reach(&s.p.members[i], s.s), true
}

// Stays implements session.Pool. Sessions leave a region that is being evacuated as its share shrinks, and
// a region without a share if there is another one to go to.
func (s sessionPool) Stays(id regions.NodeID, key uint64) bool {
	i, ok := s.p.byID[id]
	if !ok {
		return false
	}
	switch info := s.p.regions[s.p.members[i].region].info; {
	case info.Barred:
		return false
	case s.s.local || info.Share >= 1 || info.Share > 0 && info.State != regions.Evacuating:
		return true
	default:
		return float64(key>>11)/(1<<53) < info.Share || !s.p.refuge()
	}
}

// refuge reports whether there is a region to which sessions can move.
func (p *pool) refuge() bool {
	for i := range p.regions {
		if r := &p.regions[i]; r.info.Share > 0 && r.info.State != regions.Evacuating && !r.info.Barred && r.selector(needStateful, 0).Len() > 0 {
			return true
		}
	}
	return false
}

// modernNodes returns the nodes that a modern listen stream fans in from: those of the nearest region that
// has any.
func (p *pool) modernNodes(s scope) []listen.Node {
	y := p.policy(mcp.MethodListen, "", nil)
	for _, choice := range p.table.Plan(y.class, y.spill) {
		if !s.allows(choice.Region, p.regions[choice.Region].info.Name) {
			continue
		}
		var nodes []listen.Node
		span := p.entry.Pools[choice.Region]
		for i := span.From; i < span.To; i++ {
			m := &p.members[i]
			if m.trait.fits(needModern) && m.state != regions.Unhealthy && m.state != regions.Unknown {
				nodes = append(nodes, p.reach(m, s))
			}
		}
		if len(nodes) > 0 {
			return nodes
		}
	}
	return nil
}
