package discovery

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/admin"
	"github.com/quorate/quorate/internal/bench/failover"
	"github.com/quorate/quorate/internal/mcpnode/pool"
)

// federation is two datacenters with nodes, and us-east's gateway. Service tools has the nodes of both and is served
// by those of us-east; service far has those of eu-west only, so that they are at work too.
type federation struct {
	t          *testing.T
	east, west *site
	gateway    *gateway
}

// site is one datacenter.
type site struct {
	*catalog
	pool    *pool.Pool
	service string // that is served by its nodes
}

// federated starts it all with n nodes in each datacenter, of which the first some are registered. service is more
// lines of both services.
func federated(t *testing.T, n, some int, service string) *federation {
	t.Helper()
	g := group(t)
	east, west := federate(t, g)
	f := &federation{t: t, east: &site{catalog: east, service: "tools"}, west: &site{catalog: west, service: "far"}}
	for _, s := range f.sites() {
		s.pool = startPool(t, g, s.Datacenter(), n)
		for _, node := range s.pool.Nodes()[:some] {
			s.register(node.ID, node.Address())
		}
	}
	f.gateway = serve(t, g, base("gw-1", usEast)+fmt.Sprintf(`consul: {address: %q, datacenters: {us-east: us-east, eu-west: eu-west}, wait: 1s, timeout: 1s}
services:
  - name: tools
    path: /mcp
    checks: {interval: 500ms, failures: 2}
    discover: [{consul: {service: mcp-tools, tag: stable}}]
%s  - name: far
    path: /far
    checks: {interval: 500ms, failures: 2}
    discover: [{consul: {service: mcp-tools, datacenters: [eu-west], tag: stable}}]
%s`, east.URL(), service, service))
	f.await(some)
	return f
}

func (f *federation) sites() []*site { return []*site{f.east, f.west} }

// await waits until n nodes of each datacenter are healthy.
func (f *federation) await(n int) {
	f.t.Helper()
	await(f.t, fmt.Sprintf("%d nodes of each datacenter are healthy", n), func() bool {
		return len(f.gateway.nodes("tools", "healthy")) == 2*n && len(f.gateway.nodes("far", "healthy")) == n
	})
}

func (f *federation) agents(s uint64, mix failover.Mix) *work {
	f.t.Helper()
	return agents(f.t, s, mix, f.gateway.url+"/mcp", f.gateway.url+"/far")
}

// eye looks at the gateway again and again, for everybody who waits for something there.
type eye struct {
	mu      sync.Mutex
	status  admin.Status
	tried   map[string]float64 // quorate_attempts_total
	began   time.Time          // when that look began
	looked  chan struct{}      // closed at the next look
	stopped func()
}

// watch looks every 25 ms until the test ends.
func watch(t *testing.T, g *gateway) *eye {
	e := &eye{looked: make(chan struct{})}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var work sync.WaitGroup
	work.Go(func() {
		tick := time.NewTicker(25 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			began := time.Now()
			status, tried := g.status(), g.samples("quorate_attempts_total")
			if len(status.Services) > 0 && tried != nil { // else nothing was seen, which says nothing of who has left
				e.mu.Lock()
				e.status, e.tried, e.began = status, tried, began
				close(e.looked)
				e.looked = make(chan struct{})
				e.mu.Unlock()
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	})
	e.stopped = sync.OnceFunc(func() { stop(); work.Wait() })
	t.Cleanup(e.stopped)
	return e
}

// until waits for a look that begins from now on and shows what is wanted: an earlier one says nothing of what was done.
func (e *eye) until(bound time.Duration, is func() bool) bool {
	from, end := time.Now(), time.After(bound)
	for {
		e.mu.Lock()
		good, next := e.began.After(from) && is(), e.looked
		e.mu.Unlock()
		if good {
			return true
		}
		select {
		case <-next:
		case <-end:
			return false
		}
	}
}

// answered is how many tries at a node ended well.
func (e *eye) answered(service, node string) float64 {
	return max(0, sum(e.tried, label("service", service), label("node", node), label("result", "ok")))
}

// said is what the sources were last told, for a failure's message.
func (e *eye) said() (all string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.status.Services {
		for _, source := range s.Sources {
			all += fmt.Sprintf("%s %s: stale %v %s %v; ", s.Name, source.Name, source.Stale, source.Cause, source.Voices)
		}
	}
	return all
}

func (e *eye) knows(node string) bool {
	for _, s := range e.status.Services {
		for _, n := range s.Nodes {
			if n.ID == node {
				return true
			}
		}
	}
	return false
}

// changer registers and deregisters the nodes that are its own, at random, one after the other.
type changer struct {
	f        *federation
	site     *site
	eye      *eye
	rnd      *rand.Rand
	in, out  []*pool.Node
	names    map[*pool.Node]string // registered as
	lives    int
	careless bool // it kills a node at the moment of its deregistration

	joined, left []time.Duration // until the first answer of a newcomer, and until the status named a leaver no more
	failed       []string
}

// change makes one change.
func (c *changer) change(ctx context.Context) {
	join := c.rnd.IntN(2) == 0
	if len(c.out) == 0 {
		join = false
	} else if len(c.in) == 1 {
		join = true
	}
	if join {
		c.join(ctx)
	} else {
		c.leave()
	}
}

func (c *changer) join(ctx context.Context) {
	i := c.rnd.IntN(len(c.out))
	node := c.out[i]
	if err := node.Start(ctx); err != nil {
		c.failed = append(c.failed, err.Error())
		return
	}
	c.out = append(c.out[:i], c.out[i+1:]...)
	c.in = append(c.in, node)
	if c.rnd.IntN(2) == 0 { // the next life of a node has the same id, or another one at the same address
		c.lives++
		c.names[node] = fmt.Sprintf("%s-life%d", node.ID, c.lives)
	}
	id := c.site.id(c.names[node])
	var before float64
	c.eye.until(20*time.Second, func() bool { before = c.eye.answered(c.site.service, id); return true })
	began := time.Now()
	if err := c.site.put(c.names[node], node.Address()); err != nil {
		c.failed = append(c.failed, err.Error())
		return
	}
	if !c.eye.until(20*time.Second, func() bool { return c.eye.answered(c.site.service, id) > before }) {
		c.failed = append(c.failed, id+" was registered and never answered; "+c.eye.said())
	}
	c.joined = append(c.joined, time.Since(began))
}

func (c *changer) leave() {
	i := c.rnd.IntN(len(c.in))
	node := c.in[i]
	c.in = append(c.in[:i], c.in[i+1:]...)
	c.out = append(c.out, node)
	id := c.site.id(c.names[node])
	if c.careless {
		node.Kill()
	}
	began := time.Now()
	if err := c.site.api.Agent().ServiceDeregister(c.names[node]); err != nil {
		c.failed = append(c.failed, err.Error())
	}
	if !c.eye.until(20*time.Second, func() bool { return !c.eye.knows(id) }) {
		c.failed = append(c.failed, id+" was deregistered and stayed; "+c.eye.said())
	}
	c.left = append(c.left, time.Since(began))
	node.Kill()
}

// churn makes n changes with two changers for each datacenter, and returns how long newcomers and leavers took.
func (f *federation) churn(s uint64, n int, careless bool) (joined, left []time.Duration) {
	f.t.Helper()
	e := watch(f.t, f.gateway)
	defer e.stopped()
	var todo atomic.Int64
	todo.Store(int64(n))
	var changers []*changer
	var all sync.WaitGroup
	for i, site := range f.sites() {
		nodes := site.pool.Nodes()
		for j := range 2 {
			c := &changer{f: f, site: site, eye: e, rnd: rand.New(rand.NewPCG(s, uint64(2*i+j))), names: map[*pool.Node]string{}, careless: careless}
			for k := j; k < len(nodes); k += 2 {
				c.names[nodes[k]] = nodes[k].ID
				c.in = append(c.in, nodes[k])
			}
			changers = append(changers, c)
			all.Go(func() {
				for todo.Add(-1) >= 0 {
					c.change(f.t.Context())
				}
			})
		}
	}
	all.Wait()
	for _, c := range changers {
		joined, left = append(joined, c.joined...), append(left, c.left...)
		for _, what := range c.failed {
			f.t.Error(what)
		}
	}
	return joined, left
}

// changes is how many registrations and deregistrations there are.
func changes() int {
	if timed() {
		return 1000
	}
	return 200
}

// Nodes of two federated datacenters come and go at random under load. A node's process ends the moment the status
// names it no more.
func TestRegistrationsUnderLoad(t *testing.T) {
	s := seed(t)
	f := federated(t, 6, 6, "")
	load := f.agents(s, everybody)
	joined, left := f.churn(s, changes(), false)
	res := load.result(f.east.pool, f.west.pool)
	t.Logf("N=%d registrations and %d deregistrations: %s", len(joined), len(left), figures(res))
	t.Logf("from registration to the first answer of a newcomer (N=%d) p50 %s, p99 %s, max %s, bar 2s; from deregistration to leaving the status (N=%d) p50 %s, max %s",
		len(joined), rank(joined, 0.5), rank(joined, 0.99), rank(joined, 1), len(left), rank(left, 0.5), rank(left, 1))
	lossless(t, res)
	if most := rank(joined, 1); timed() && most > 2*time.Second {
		t.Errorf("a newcomer took %s to answer", most)
	}
	if len(joined)+len(left) != changes() || len(joined) == 0 || len(left) == 0 {
		t.Errorf("%d registrations and %d deregistrations", len(joined), len(left))
	}
}

// The control: nodes are killed at the moment of their deregistration, and nothing is tried twice.
func TestRegistrationsControl(t *testing.T) {
	s := seed(t)
	f := federated(t, 4, 4, "    retry: {attempts: 1, budget_percent: 0, budget_min: 0}\n")
	load := f.agents(s, failover.Mix{ModernRaw: 16, LegacyRaw: 16})
	_, left := f.churn(s, 100, true)
	res := load.result(f.east.pool, f.west.pool)
	t.Logf("control, %d nodes killed at their deregistration, one attempt: %s", len(left), figures(res))
	if res.SafeLost == 0 {
		t.Error("nothing failed: this test could not see a loss")
	}
}
