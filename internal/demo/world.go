package demo

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/bench/failover"
	"github.com/quorate/quorate/internal/child"
	"github.com/quorate/quorate/internal/gatewayproc"
	"github.com/quorate/quorate/internal/mcpnode"
	"github.com/quorate/quorate/internal/mcpnode/pool"
)

// world is regions on loopback: in each a pool of nodes and a gateway, and between them links.
type world struct {
	binary, dir string
	regions     []string // that there are: the founders, in a hold sa-east too
	token       string   // of the admin listeners; "" for none
	log         io.Writer
	group       *child.Group
	rnd         *rand.Rand
	pools       map[string]*pool.Pool
	gateways    map[string]*gatewayproc.Gateway
	links       links
	times       times
	dead        map[*pool.Node]bool
	lease       time.Duration // of the gateway that is cut off next
	partitions  []partition
	victim      *pool.Node // of the next kill
	reserved    []io.Closer
	over        chan struct{} // closed when a gateway ended by itself
	once        sync.Once
	doors       map[string]*door
	configs     map[string]gatewayproc.Config // of the gateways
	killed      map[string]bool               // gateways that are down because they were killed
}

// newWorld starts everything; close must be called, also after an error.
func newWorld(ctx context.Context, cfg Config, dir string, log io.Writer) (*world, error) {
	w := &world{
		binary: cfg.Binary, dir: dir, log: log, group: child.NewGroup(), rnd: rand.New(rand.NewPCG(cfg.Seed, 0)),
		pools: map[string]*pool.Pool{}, gateways: map[string]*gatewayproc.Gateway{}, dead: map[*pool.Node]bool{},
		times: timesOf(cfg.Brief), over: make(chan struct{}), configs: map[string]gatewayproc.Config{}, killed: map[string]bool{},
		regions: cfg.regions(),
	}
	if cfg.Hold != "" {
		w.token = crand.Text()
	}
	for _, region := range w.regions {
		p, err := pool.Start(ctx, w.group, pool.Config{Binary: cfg.Binary, Dir: dir, Nodes: specs(region), Log: log})
		if err != nil {
			return w, err
		}
		w.pools[region] = p
	}
	peers, err := w.reserve()
	if err != nil {
		return w, err
	}
	if w.links, err = newLinks(peers, cfg.Seed); err != nil {
		return w, err
	}
	if err = w.startGateways(ctx, peers); err == nil {
		err = w.awaitGates(ctx)
	}
	if err == nil {
		w.doors, err = openDoors(w.listens(), cfg.Seed)
	}
	return w, err
}

// listens are the addresses that agents could connect to.
func (w *world) listens() map[string]string {
	all := map[string]string{}
	for region, g := range w.gateways {
		all[region] = g.Listen()
	}
	return all
}

// reserve finds an address for each gateway's peer listener: the links to it are made before it starts.
func (w *world) reserve() (map[string]string, error) {
	peers := map[string]string{}
	for _, region := range w.regions {
		address, mark, err := pool.Reserve()
		if err != nil {
			return nil, err
		}
		peers[region], w.reserved = address, append(w.reserved, mark)
	}
	return peers, nil
}

// startGateways starts them together, as each waits until its nodes are verified.
func (w *world) startGateways(ctx context.Context, peers map[string]string) error {
	ids, err := issue(w.dir, w.regions)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	var all sync.WaitGroup
	var failed error
	for _, region := range w.regions {
		cfg := gatewayproc.Config{
			Binary: w.binary, Dir: w.dir, Name: gatewayName(region), Region: region, Token: w.token, Log: w.log,
			Gateway: gatewayYAML(region, w.dir, peers[region], ids[region], w.links, w.times), Service: serviceYAML,
		}
		for _, n := range w.pools[region].Nodes() {
			cfg.Nodes = append(cfg.Nodes, gatewayproc.Node{ID: n.ID, URL: n.URL()})
		}
		w.configs[region] = cfg
		all.Go(func() {
			g, err := gatewayproc.Start(ctx, w.group, cfg)
			mu.Lock()
			defer mu.Unlock()
			if failed = errors.Join(failed, err); err == nil {
				w.gateways[region] = g
			}
		})
	}
	all.Wait()
	if failed == nil {
		w.guard()
	}
	return failed
}

// guard closes over when the first founder's gateway ends. Sa-east's is for others to play with: the verdict tells what
// that cost.
func (w *world) guard() {
	for _, region := range founders() {
		w.watchOver(w.gateways[region])
	}
}

// watchOver closes over when a gateway ends that was not killed.
func (w *world) watchOver(g *gatewayproc.Gateway) {
	go func() {
		<-g.Done()
		if !g.Killed() {
			w.once.Do(func() { close(w.over) })
		}
	}()
}

// ended is closed when a gateway has ended.
func (w *world) ended() <-chan struct{} { return w.over }

// aim chooses the victim of a kill: a node that has a call in flight, if one soon has. Before a cut it asks how long
// the region's gateway may go on writing then.
func (w *world) aim(ctx context.Context, d deed) (err error) {
	switch d.verb {
	case kill:
		nodes := w.pools[d.at].Nodes()
		w.victim = failover.Aim(ctx, nodes[w.rnd.IntN(len(nodes))], nodes)
	case cut:
		w.lease, err = w.leaseOf(ctx, d.at)
	}
	return err
}

// do does a deed and says what it was.
func (w *world) do(ctx context.Context, d deed) (what string, err error) {
	what = d.String()
	switch d.verb {
	case kill:
		n := w.victim
		w.kill(n)
		what = fmt.Sprintf("SIGKILL of node %s (%s, pid %d, calls in flight: %d)", n.ID, n.Era, n.PID(), n.InFlight())
	case killAll:
		for _, n := range w.pools[d.at].Nodes() {
			w.kill(n)
		}
	case start:
		err = w.start(ctx, d.at)
	case slow:
		w.links.slow(d.at, d.to, d.rtt)
	case cut:
		w.cut(d.at)
	case heal:
		err = w.heal(d.at)
	case crash:
		what = fmt.Sprintf("%s (pid %d)", what, w.gateways[d.at].PID())
		w.killed[d.at] = true
		w.gateways[d.at].Kill()
	case revive:
		err = w.revive(ctx, d.at)
	}
	return what, err
}

// revive starts a gateway that was killed, if it was: its disk is as it left it.
func (w *world) revive(ctx context.Context, region string) error {
	if !w.killed[region] {
		return nil
	}
	g, err := gatewayproc.Start(ctx, w.group, w.configs[region])
	if err != nil {
		return err
	}
	delete(w.killed, region)
	w.gateways[region] = g
	w.watchOver(g)
	ctx, cancel := context.WithTimeout(ctx, formTime)
	defer cancel()
	err = g.AwaitWritable(ctx) // a balancer would send agents as soon as it serves; theirs are writes, too
	w.doors[region].move(g.Listen())
	return err
}

func (w *world) kill(n *pool.Node) {
	n.Kill()
	w.dead[n] = true
}

// start starts what is dead in a region.
func (w *world) start(ctx context.Context, region string) error {
	for _, n := range w.pools[region].Nodes() {
		if !w.dead[n] {
			continue
		}
		if err := n.Start(ctx); err != nil {
			return err
		}
		delete(w.dead, n)
	}
	return nil
}

// restore brings everything back that a script which was broken off left undone.
func (w *world) restore(ctx context.Context) error {
	var failed error
	for _, region := range w.regions {
		failed = errors.Join(failed, w.heal(region), w.start(ctx, region), w.revive(ctx, region))
	}
	w.links.home()
	return failed
}

func (w *world) journal() ([]mcpnode.Entry, error) {
	var all []mcpnode.Entry
	for _, p := range w.pools {
		entries, err := p.Journal()
		if err != nil {
			return nil, err
		}
		all = append(all, entries...)
	}
	return all, nil
}

// stop ends the gateways in their orderly way, together: one that waits for another must not wait for long.
func (w *world) stop() error {
	var mu sync.Mutex
	var all sync.WaitGroup
	var failed error
	for region, g := range w.gateways {
		all.Go(func() {
			if err := g.Stop(); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed = errors.Join(failed, fmt.Errorf("the gateway of %s did not stop in order: %w", region, err))
			}
		})
	}
	all.Wait()
	return failed
}

func (w *world) close() {
	for _, d := range w.doors {
		d.close()
	}
	w.links.close()
	for _, p := range w.pools {
		p.Close()
	}
	w.group.Close()
	for _, mark := range w.reserved {
		_ = mark.Close()
	}
}
