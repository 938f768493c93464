// Package verify observes proposed nodes by real MCP round trips: their health, the eras they speak and
// what they say of their tools. It must not know where proposals come from, the table, or the traffic;
// the data plane tells it of failures through Failed.
package verify

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/quorate/quorate/regions"
)

// goodbye bounds what a watcher that ends still does: the DELETE of its verification session.
const goodbye = time.Second

// Tracker verifies the nodes of one service, each by a goroutine of its own. All its methods may be
// called at any time from anywhere.
type Tracker struct {
	cfg     Config
	slots   chan struct{}
	changed chan struct{}
	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup

	mu       sync.RWMutex
	watchers map[regions.NodeID]*watched
	closed   bool
}

// watched is a watcher with the way to end it.
type watched struct {
	*watcher
	end context.CancelFunc
}

// New returns a Tracker without nodes, or what is wrong with cfg.
func New(cfg Config) (*Tracker, error) {
	if err := cfg.withDefaults(); err != nil {
		return nil, err
	}
	t := &Tracker{
		cfg:      cfg,
		slots:    make(chan struct{}, cfg.Concurrency),
		changed:  make(chan struct{}, 1),
		watchers: map[regions.NodeID]*watched{},
	}
	t.ctx, t.stop = context.WithCancel(context.Background())
	return t, nil
}

// SetNodes replaces the set of nodes. A node that keeps its id and URL keeps its observation; others
// start unknown and are checked at once, in parallel within Config.Concurrency. Proposals that are
// invalid or repeat an id are left out and logged. After Close it does nothing.
func (t *Tracker) SetNodes(full []regions.Proposal) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	wanted := t.admissible(full)
	for id, w := range t.watchers {
		if p, ok := wanted[id]; !ok || p.URL != w.node().URL {
			w.end()
			delete(t.watchers, id)
			signal(t.changed)
		}
	}
	for id, p := range wanted {
		if w := t.watchers[id]; w != nil {
			w.update(p)
		} else {
			t.watchers[id] = t.watch(p)
			signal(t.changed)
		}
	}
}

func (t *Tracker) admissible(full []regions.Proposal) map[regions.NodeID]regions.Proposal {
	wanted := make(map[regions.NodeID]regions.Proposal, len(full))
	for _, p := range full {
		p.Service = cmp.Or(p.Service, t.cfg.Service)
		if err := regions.CheckProposal(p); err != nil {
			t.cfg.Logger.Warn("proposed node left out", "service", t.cfg.Service, "node", string(p.ID), "source", p.Source, "cause", err.Error())
			continue
		}
		if first, taken := wanted[p.ID]; taken {
			t.cfg.Logger.Warn("proposed node left out", "service", t.cfg.Service, "node", string(p.ID), "source", p.Source, "cause", "its id is taken by a node of source "+first.Source)
			continue
		}
		wanted[p.ID] = p
	}
	return wanted
}

// watch starts a watcher. t.mu is held.
func (t *Tracker) watch(p regions.Proposal) *watched {
	ctx, end := context.WithCancel(t.ctx)
	client := t.cfg.clientOf(p)
	w := newWatcher(&t.cfg, p, &probe{wire: wire{client: client, url: p.URL, header: t.cfg.Header}}, t.slots, func() { signal(t.changed) })
	t.running.Go(func() {
		w.run(ctx)
		ctx, cancel := context.WithTimeout(context.Background(), goodbye)
		defer cancel()
		w.probe.close(ctx)
	})
	return &watched{watcher: w, end: end}
}

func newWatcher(cfg *Config, p regions.Proposal, probe prober, slots chan struct{}, changed func()) *watcher {
	return &watcher{
		cfg: cfg, proposal: p, probe: probe, slots: slots, changed: changed,
		logger:  cfg.Logger.With("service", p.Service, "node", string(p.ID)),
		recheck: make(chan struct{}, 1), died: make(chan struct{}, 1),
	}
}

// Nodes returns every node as of now, sorted by id. The caller owns the slice; Facts are shared and
// immutable. A node whose Facts are nil was never verified and must take no traffic.
func (t *Tracker) Nodes() []regions.Node {
	t.mu.RLock()
	defer t.mu.RUnlock()
	nodes := make([]regions.Node, 0, len(t.watchers))
	for _, w := range t.watchers {
		nodes = append(nodes, w.node())
	}
	slices.SortFunc(nodes, func(a, b regions.Node) int { return cmp.Compare(a.ID, b.ID) })
	return nodes
}

// Changed signals that Nodes differs in what routing needs: the set, a proposal, a state or facts. Signals
// coalesce; latency, last-seen and failure counts move without one.
func (t *Tracker) Changed() <-chan struct{} { return t.changed }

// Failed takes in what the data plane saw of a node; unknown ids are ignored. It does not block.
//
// dead means that the node does not answer at all (a refused connect, a failed suspect probe, a TCP
// timeout): it is unhealthy at once, and re-checked after 50 ms, 100 ms and so on up to the interval.
// Otherwise the node is checked at once (but not twice within a quarter second) and the check
// decides: single failures of traffic are the breaker's business.
func (t *Tracker) Failed(id regions.NodeID, dead bool) {
	t.mu.RLock()
	w := t.watchers[id]
	t.mu.RUnlock()
	switch {
	case w == nil:
	case dead:
		w.dead()
	default:
		w.suspect()
	}
}

// Close ends all checks, ends the verification sessions on the nodes within a second, and waits.
func (t *Tracker) Close() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.stop()
	t.running.Wait()
}
