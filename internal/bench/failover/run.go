package failover

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/quorate/quorate/internal/child"
	"github.com/quorate/quorate/internal/mcpnode/pool"
)

// run is one system under one fault.
type run struct {
	cfg     Config
	rnd     *rand.Rand // the killer's; agents have their own
	pool    *pool.Pool
	load    *Load
	gaps    []time.Duration
	returns []time.Duration
	longest string // who had the longest gap
	busy    int    // faults that hit a node with a call in flight
	thawed  int
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
	r := &run{cfg: cfg, rnd: rand.New(rand.NewPCG(cfg.Seed, 0))}
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
	var err error
	r.load, err = NewLoad(LoadConfig{
		Sites: []Site{{URL: r.cfg.Front.URL(), Agents: r.cfg.Agents}}, Think: r.cfg.Think, Seed: r.cfg.Seed,
	})
	if err != nil {
		return Result{}, err
	}
	r.load.Start(ctx)
	err = r.faults(ctx)
	if err == nil {
		err = r.settle(ctx)
	}
	counters, cerr := r.cfg.Front.Counters(ctx)
	r.load.Stop()
	stopErr := r.cfg.Front.Stop()
	if err != nil {
		return Result{}, errors.Join(err, stopErr)
	}
	return r.result(counters, errors.Join(cerr, stopErr))
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
