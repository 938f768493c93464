package failover

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/child"
	"github.com/quorate/quorate/internal/mcpnode/pool"
)

// run is one system under one fault.
type run struct {
	cfg     Config
	rec     *recorder
	rnd     *rand.Rand // the killer's; agents have their own
	pool    *pool.Pool
	agents  []*agent
	gaps    []time.Duration
	returns []time.Duration
	longest string // who had the longest gap
	busy    int    // faults that hit a node with a call in flight
	thawed  int
	event   eventLog
	// counters are the last ones that the observer could read; only it uses them.
	counters Counters
}

// Run starts nodes, front and agents, does the faults, stops everything and judges the calls by the
// nodes' journals. The error is about the run itself; what the system did wrong is in the Result.
func Run(ctx context.Context, cfg Config) (Result, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return Result{}, err
	}
	dir, err := os.MkdirTemp(cfg.Dir, "quorate-failover-")
	if err != nil {
		return Result{}, fmt.Errorf("failover: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	group := child.NewGroup()
	defer group.Close()
	r := &run{cfg: cfg, rec: &recorder{began: time.Now()}, rnd: rand.New(rand.NewPCG(cfg.Seed, 0))}
	r.pool, err = pool.Start(ctx, group, pool.Config{Binary: cfg.Binary, Dir: dir, Nodes: cfg.Nodes, Log: cfg.Log})
	if err != nil {
		return Result{}, err
	}
	defer r.pool.Close()
	if err := cfg.Front.Start(ctx, group, dir, r.pool.Nodes(), cfg.Log); err != nil {
		return Result{}, err
	}
	return r.measure(ctx)
}

// measure runs the load around the faults.
func (r *run) measure(ctx context.Context) (Result, error) {
	if err := r.awaitHealthy(ctx); err != nil {
		return Result{}, err
	}
	r.newAgents()
	loadCtx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // agents end by stop, so that no call is cut
	defer cancel()
	stop := make(chan struct{})
	var load, watch sync.WaitGroup
	for _, a := range r.agents {
		load.Go(func() { a.run(loadCtx, stop) })
	}
	watching, stopWatching := context.WithCancel(ctx)
	watch.Go(func() { r.observe(watching) })
	err := r.faults(ctx)
	if err == nil {
		err = r.settle(context.WithoutCancel(ctx)) // also after Ctrl-C: the verdict needs it
	}
	counters, cerr := r.cfg.Front.Counters(context.WithoutCancel(ctx))
	close(stop)
	load.Wait()
	stopWatching()
	watch.Wait()
	stopErr := r.cfg.Front.Stop()
	if err != nil {
		return Result{}, errors.Join(err, stopErr)
	}
	return r.result(counters, errors.Join(cerr, stopErr))
}

// newAgents mixes the kinds, so that no kind is first at everything.
func (r *run) newAgents() {
	add := func(kind string, n int, make func() caller) {
		for i := range n {
			r.agents = append(r.agents, &agent{
				name: fmt.Sprintf("%s-%d", kind, i), caller: make(), think: r.cfg.Think, rec: r.rec,
			})
		}
	}
	url, m := r.cfg.Front.URL(), r.cfg.Agents
	add("modern-sdk", m.ModernSDK, func() caller { return newSDKAgent(url, false) })
	add("legacy-sdk", m.LegacySDK, func() caller { return newSDKAgent(url, true) })
	add("modern-raw", m.ModernRaw, func() caller { return newRawAgent(url, false) })
	add("legacy-raw", m.LegacyRaw, func() caller { return newRawAgent(url, true) })
	r.rnd.Shuffle(len(r.agents), func(i, j int) { r.agents[i], r.agents[j] = r.agents[j], r.agents[i] })
	for i, a := range r.agents {
		a.index, a.rnd = i, rand.New(rand.NewPCG(r.cfg.Seed, uint64(i)+1))
	}
}

// settle lets the load go on for a moment after the last fault: a duplicate would come late, and a
// subscription has to show that it still delivers.
func (r *run) settle(ctx context.Context) error {
	if err := r.awaitHealthy(ctx); err != nil {
		return err
	}
	return pause(ctx, settleTime)
}

const settleTime = time.Second

// healthTimeout bounds how long a front may take until every node has traffic again.
const healthTimeout = 30 * time.Second

var errNotHealthy = errors.New("not every node takes traffic 30 s after a fault")

// awaitHealthy waits until the front uses every node.
func (r *run) awaitHealthy(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, healthTimeout, errNotHealthy)
	defer cancel()
	for {
		ok, err := r.cfg.Front.Healthy(ctx)
		if ok && err == nil {
			return nil
		}
		if perr := pause(ctx, 10*time.Millisecond); perr != nil {
			return fmt.Errorf("failover: %s: %w", r.cfg.Front.Name(), errors.Join(perr, err))
		}
	}
}

// pause waits d or until ctx ends, and then returns why.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
