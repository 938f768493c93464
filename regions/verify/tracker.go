// Package verify observes proposed nodes by real MCP round trips: their health, the eras they speak and
// what they say of their tools. It must not know where proposals come from, the table, or the traffic;
// the data plane tells it of failures through Failed.
package verify

import (
	"cmp"
	"context"
	"crypto/x509"
	"maps"
	"slices"
	"strings"
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
// start unknown and are checked at once, in parallel within Config.Concurrency. One whose identity
// changes keeps its observation too and is checked at once, on connections held to the new identity: as
// traffic's are, so that nothing reaches an impostor meanwhile, and a good node serves on. Proposals that are
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
		t.set(id, p)
	}
}

// set starts, restarts or updates a node's watcher. t.mu is held.
func (t *Tracker) set(id regions.NodeID, p regions.Proposal) {
	if old := t.watchers[id]; old != nil && old.node().Identity == p.Identity && old.node().Host == p.Host {
		old.update(p)
		return
	}
	t.renew(id, p)
}

// renew makes a new watcher, which takes over what the one before has seen. t.mu is held.
func (t *Tracker) renew(id regions.NodeID, p regions.Proposal) {
	old := t.watchers[id]
	var before *watcher
	if old != nil {
		old.end()
		before = old.watcher
		delete(t.watchers, id)
	}
	signal(t.changed)
	w, err := t.watch(p, before)
	if err != nil {
		t.leftOut(p, err.Error())
		return
	}
	t.watchers[id] = w
}

// SetTrust replaces Config.Trust. As with a changed identity, https nodes keep their observation and are checked
// at once, on connections held to the new authorities. The same authorities, read again, change nothing.
func (t *Tracker) SetTrust(trust *x509.CertPool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || trust.Equal(t.cfg.Trust) {
		return
	}
	t.cfg.Trust = trust // read under t.mu alone
	for id, w := range maps.Clone(t.watchers) {
		if n := w.node(); strings.HasPrefix(strings.ToLower(n.URL), "https:") {
			t.renew(id, n.Proposal)
		}
	}
}

func (t *Tracker) leftOut(p regions.Proposal, cause string) {
	t.cfg.Logger.Warn("proposed node left out", "service", t.cfg.Service, "node", string(p.ID), "source", p.Source, "cause", cause)
}

func (t *Tracker) admissible(full []regions.Proposal) map[regions.NodeID]regions.Proposal {
	wanted := make(map[regions.NodeID]regions.Proposal, len(full))
	for _, p := range full {
		p.Service = cmp.Or(p.Service, t.cfg.Service)
		if err := regions.CheckProposal(p); err != nil {
			t.leftOut(p, err.Error())
			continue
		}
		if first, taken := wanted[p.ID]; taken {
			t.leftOut(p, "its id is taken by a node of source "+first.Source)
			continue
		}
		wanted[p.ID] = p
	}
	return wanted
}

// watch starts a watcher, which takes over the observation of the one before it, if there is one. t.mu is held.
func (t *Tracker) watch(p regions.Proposal, before *watcher) (*watched, error) {
	client, err := t.cfg.clientOf(p)
	if err != nil {
		return nil, err
	}
	ctx, end := context.WithCancel(t.ctx)
	w := newWatcher(&t.cfg, p, &probe{wire: wire{client: client, url: p.URL, host: p.Authority(), header: t.cfg.Header}}, t.slots, func() { signal(t.changed) })
	if before != nil {
		w.inherit(before)
	}
	t.running.Go(func() {
		w.run(ctx)
		ctx, cancel := context.WithTimeout(context.Background(), goodbye)
		defer cancel()
		w.probe.close(ctx)
	})
	return &watched{watcher: w, end: end}, nil
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

// Unproven takes in that the data plane connected to a node that did not prove its identity; unknown ids are
// ignored. It does not block. The node is unproven at once, as by a check of its own: both ask for the same
// proof. It is checked again after 50 ms, 100 ms and so on up to the interval, each time on a new connection.
func (t *Tracker) Unproven(id regions.NodeID, cause error) {
	t.mu.RLock()
	w := t.watchers[id]
	t.mu.RUnlock()
	if w != nil {
		w.unproven(cause)
	}
}

// FailedProofs returns how often a node became unproven.
func (t *Tracker) FailedProofs() uint64 { return t.cfg.proofs.Load() }

// Close ends all checks, ends the verification sessions on the nodes within a second, and waits.
func (t *Tracker) Close() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.stop()
	t.running.Wait()
}
