package edge

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/lastgood"
	"github.com/quorate/quorate/internal/sources"
	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/discovery"
	"github.com/quorate/quorate/regions/verify"
)

// trackers holds what is discovered and verified of each service.
type trackers struct {
	log     *slog.Logger
	links   *links
	sources *sources.Maker
	region  string        // the gateway's own
	changed chan struct{} // any of them has news; holds one signal

	mu     sync.RWMutex
	byID   map[string]*tracked
	kept   lastgood.Set // from disk, until each service has taken its part
	closed bool
}

// tracked is one service's nodes: what its sources propose, and what verification sees of that.
type tracked struct {
	*verify.Tracker
	group  *discovery.Group
	checks config.Checks
	stop   chan struct{}
	seeded bool       // began with nodes from disk
	feed   sync.Mutex // held while the group's set goes to the tracker
	proof  proof      // feed guards it
}

func newTrackers(log *slog.Logger, l *links, m *sources.Maker, region string, kept lastgood.Set) *trackers {
	return &trackers{log: log, links: l, sources: m, region: region, changed: make(chan struct{}, 1), byID: make(map[string]*tracked), kept: kept}
}

// set starts, feeds and stops trackers so that they fit cfg. Nodes that stay keep what is known of them,
// unless the service's checks themselves changed.
func (t *trackers) set(cfg *config.Config) error {
	plans, err := t.plan(cfg)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return errStopped // a reload met the end: nobody would close what it starts
	}
	wanted := make(map[string]bool, len(plans))
	for _, p := range plans {
		wanted[p.service.Name] = true
		if err := t.ensure(p); err != nil {
			return err
		}
	}
	for name, old := range t.byID {
		if !wanted[name] {
			t.drop(name, old)
		}
	}
	return nil
}

// plan is what one service needs, made before anything is changed: a configuration is taken whole or not at all.
type plan struct {
	service config.Service
	sources []discovery.Supervised
	trust   *x509.CertPool
	kept    []lastgood.Node
}

func (t *trackers) plan(cfg *config.Config) ([]plan, error) {
	plans := make([]plan, 0, len(cfg.Services))
	for i, s := range cfg.Services {
		p := plan{service: s, kept: t.kept[s.Name]}
		var err error
		if p.sources, err = t.sources.Of(cfg, i, known(p.kept)); err != nil {
			return nil, fmt.Errorf("edge: %w", err)
		}
		if p.trust, err = s.Identity.Trust(); err != nil {
			return nil, fmt.Errorf("edge: service %s: %w", s.Name, err)
		}
		plans = append(plans, p)
	}
	return plans, nil
}

// known lists what each source had named before this process started.
func known(kept []lastgood.Node) map[string][]regions.Proposal {
	by := make(map[string][]regions.Proposal)
	for _, n := range kept {
		for _, source := range n.Sources {
			by[source] = append(by[source], n.Proposal)
		}
	}
	return by
}

// ensure starts a service's tracking, or changes it. t.mu is held.
func (t *trackers) ensure(p plan) error {
	s := p.service
	old := t.byID[s.Name]
	if old != nil && old.checks == s.Checks {
		return old.adjust(p)
	}
	if old != nil {
		p.kept = old.remember() // other checks are no reason to lose what was found and verified
		t.drop(s.Name, old)
	}
	v, err := verify.New(verify.Config{
		Service:   s.Name,
		Interval:  s.Checks.Interval,
		Failures:  s.Checks.Failures,
		Successes: s.Checks.Successes,
		Trust:     p.trust,
		Transport: t.links.checking,
		Logger:    t.log,
	})
	if err != nil {
		return fmt.Errorf("edge: service %s: %w", s.Name, err)
	}
	n := &tracked{Tracker: v, checks: s.Checks, stop: make(chan struct{}), proof: proofOf(&s)}
	n.group, err = discovery.NewGroup(discovery.Config{
		Service: s.Name, Sources: p.sources, Keeper: discovery.KeeperConfig{Bound: s.Checks.Forget}, Restored: n.restore(p.kept), Failing: v.Failing, Logger: t.log,
	})
	if err != nil {
		v.Close()
		return fmt.Errorf("edge: service %s: %w", s.Name, err)
	}
	delete(t.kept, s.Name)
	n.take()
	t.byID[s.Name] = n
	go t.forward(n)
	return nil
}

// adjust takes over other sources and another proof.
func (n *tracked) adjust(p plan) error {
	n.SetTrust(p.trust)
	if err := n.group.Set(p.sources); err != nil {
		return err
	}
	n.feed.Lock()
	n.proof = proofOf(&p.service)
	n.feed.Unlock()
	n.take() // other sources may name the same nodes, which is no change to the group
	return nil
}

// restore lets nodes from disk serve until the sources have spoken.
func (n *tracked) restore(kept []lastgood.Node) []discovery.Restored {
	all := make([]discovery.Restored, 0, len(kept))
	for _, k := range kept {
		var ok bool
		if k.Proposal, ok = n.proof.of(k.Proposal); !ok {
			continue
		}
		if n.Seed(k.Proposal, k.Facts, k.LastSeen) {
			all = append(all, discovery.Restored{Proposal: k.Proposal, Sources: k.Sources})
		}
	}
	n.seeded = len(all) > 0
	return all
}

// take gives the sources' joined set to verification.
func (n *tracked) take() {
	n.feed.Lock()
	defer n.feed.Unlock()
	n.SetNodes(n.proof.all(n.group.Nodes()))
}

// signal says that there is news; it never blocks.
func (t *trackers) signal() {
	select {
	case t.changed <- struct{}{}:
	default:
	}
}

// forward carries what sources say to verification, and joins the trackers' signals into one.
func (t *trackers) forward(n *tracked) {
	for {
		select {
		case <-n.stop:
			return
		case <-n.group.Changed():
			n.take()
		case <-n.Changed():
			t.signal()
		}
	}
}

func (t *trackers) drop(name string, old *tracked) {
	delete(t.byID, name)
	close(old.stop)
	go old.end() // it says goodbye to its nodes, which may take a while
}

func (n *tracked) end() {
	n.group.Close()
	n.Close()
}

func (t *trackers) nodes(service string) []regions.Node {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if n := t.byID[service]; n != nil {
		return n.Nodes()
	}
	return nil
}

// discovered returns what a service's sources say, and how they are.
func (t *trackers) discovered(service string) discovery.Status {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if n := t.byID[service]; n != nil {
		return n.group.Status()
	}
	return discovery.Status{}
}

// eachSource shows every source of every service.
func (t *trackers) eachSource(f func(service string, s discovery.SourceStatus)) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for name, n := range t.byID {
		for _, s := range n.group.Sources() {
			f(name, s)
		}
	}
}

// firstLook waits until every source has spoken and every node of the gateway's own region was checked once, at
// most bound. The others join as they answer: a region that is away must not hold up a start.
func (t *trackers) firstLook(ctx context.Context, bound time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !t.looked() {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (t *trackers) looked() bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, n := range t.byID {
		if !n.heard() {
			return false
		}
		n.take()
		for _, node := range n.Nodes() {
			if node.Region == t.region && node.State == regions.Unknown && node.ConsecutiveFailures == 0 {
				return false
			}
		}
	}
	return true
}

// restored reports whether every service has nodes from disk, so that nobody has to wait for sources.
func (t *trackers) restored() bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, n := range t.byID {
		if !n.seeded {
			return false
		}
	}
	return true
}

// heard reports whether every source has spoken, if only to say that it learned nothing.
func (n *tracked) heard() bool {
	for _, s := range n.group.Sources() {
		if s.Answered.IsZero() {
			return false
		}
	}
	return true
}

func (t *trackers) failed(service string, id regions.NodeID, dead bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if n := t.byID[service]; n != nil {
		n.Failed(id, dead)
	}
}

func (t *trackers) unproven(service string, id regions.NodeID, cause error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if n := t.byID[service]; n != nil {
		n.Unproven(id, cause)
	}
}

// close ends all of them and waits for it.
func (t *trackers) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	var wg sync.WaitGroup
	for name, n := range t.byID {
		delete(t.byID, name)
		close(n.stop)
		wg.Go(n.end)
	}
	wg.Wait()
}
