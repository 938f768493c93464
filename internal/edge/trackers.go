package edge

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/static"
	"github.com/quorate/quorate/regions/verify"
)

// trackers holds one verification tracker per service.
type trackers struct {
	log     *slog.Logger
	links   *links
	region  string        // the gateway's own
	changed chan struct{} // any of them has news; holds one signal

	mu     sync.RWMutex
	byID   map[string]*tracked
	closed bool
}

type tracked struct {
	*verify.Tracker
	checks config.Checks
	stop   chan struct{}
}

func newTrackers(log *slog.Logger, l *links, region string) *trackers {
	return &trackers{log: log, links: l, region: region, changed: make(chan struct{}, 1), byID: make(map[string]*tracked)}
}

// set starts, feeds and stops trackers so that they fit cfg. Nodes that stay keep what is known of them,
// unless the service's checks themselves changed.
func (t *trackers) set(cfg *config.Config) error {
	proposals := make(map[string][]regions.Proposal, len(cfg.Services))
	for _, s := range cfg.Services {
		p, err := proposed(cfg, s)
		if err != nil {
			return fmt.Errorf("edge: service %s: %w", s.Name, err)
		}
		proposals[s.Name] = p
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return errStopped // a reload met the end: nobody would close what it starts
	}
	for _, s := range cfg.Services {
		if err := t.ensure(s); err != nil {
			return err
		}
		t.byID[s.Name].SetNodes(proposals[s.Name])
	}
	for name, old := range t.byID {
		if _, wanted := proposals[name]; !wanted {
			t.drop(name, old)
		}
	}
	return nil
}

// proposed joins what all sources of a service propose, in this region and the others.
func proposed(cfg *config.Config, s config.Service) ([]regions.Proposal, error) {
	var all []regions.Proposal
	for _, d := range s.Discover {
		if d.Static == nil {
			continue
		}
		nodes := make([]static.Node, 0, len(d.Static.Nodes))
		for _, n := range d.Static.Nodes {
			nodes = append(nodes, static.Node{ID: n.ID, URL: n.URL, Weight: n.Weight})
		}
		source, err := static.New(static.Config{Service: s.Name, Region: cfg.Region, Nodes: nodes})
		if err != nil {
			return nil, err
		}
		all = append(all, source.Proposals()...)
	}
	for name, r := range cfg.Regions {
		if name == cfg.Region {
			continue
		}
		far, err := proposedFar(name, r, s)
		if err != nil {
			return nil, err
		}
		all = append(all, far...)
	}
	return all, nil
}

// proposedFar returns a service's nodes in another region: its gateways, each of which stands for the
// region's whole pool, or the nodes themselves.
func proposedFar(name string, r config.Region, s config.Service) ([]regions.Proposal, error) {
	if viaOf(r.Via) == regions.ViaGateway {
		all := make([]regions.Proposal, 0, len(r.Gateways))
		for _, address := range r.Gateways {
			all = append(all, regions.Proposal{
				ID: regions.NodeID(name + "@" + address), Service: s.Name, Region: name,
				URL: "https://" + address + s.Path, Source: sourceGateway, Weight: 1,
			})
		}
		return all, nil
	}
	nodes := make([]static.Node, 0, len(r.Pools[s.Name].Nodes))
	for _, n := range r.Pools[s.Name].Nodes {
		nodes = append(nodes, static.Node{ID: n.ID, URL: n.URL, Weight: n.Weight})
	}
	source, err := static.New(static.Config{Service: s.Name, Region: name, Nodes: nodes})
	if err != nil {
		return nil, err
	}
	return source.Proposals(), nil
}

func (t *trackers) ensure(s config.Service) error {
	if old := t.byID[s.Name]; old != nil {
		if old.checks == s.Checks {
			return nil
		}
		t.drop(s.Name, old)
	}
	v, err := verify.New(verify.Config{
		Service:   s.Name,
		Interval:  s.Checks.Interval,
		Failures:  s.Checks.Failures,
		Successes: s.Checks.Successes,
		Transport: t.links.checking,
		Logger:    t.log,
	})
	if err != nil {
		return fmt.Errorf("edge: service %s: %w", s.Name, err)
	}
	n := &tracked{Tracker: v, checks: s.Checks, stop: make(chan struct{})}
	t.byID[s.Name] = n
	go t.forward(n)
	return nil
}

// signal says that there is news; it never blocks.
func (t *trackers) signal() {
	select {
	case t.changed <- struct{}{}:
	default:
	}
}

// forward joins the trackers' signals into one.
func (t *trackers) forward(n *tracked) {
	for {
		select {
		case <-n.stop:
			return
		case <-n.Changed():
			t.signal()
		}
	}
}

func (t *trackers) drop(name string, old *tracked) {
	delete(t.byID, name)
	close(old.stop)
	go old.Close() // it says goodbye to its nodes, which may take a while
}

func (t *trackers) nodes(service string) []regions.Node {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if n := t.byID[service]; n != nil {
		return n.Nodes()
	}
	return nil
}

// firstLook waits until every node of the gateway's own region was checked once, at most bound. The others
// join as they answer: a region that is away must not hold up a start.
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
		for _, node := range n.Nodes() {
			if node.Region == t.region && node.State == regions.Unknown && node.ConsecutiveFailures == 0 {
				return false
			}
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

// close ends all of them and waits for it.
func (t *trackers) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	var wg sync.WaitGroup
	for name, n := range t.byID {
		delete(t.byID, name)
		close(n.stop)
		wg.Go(func() { n.Close() })
	}
	wg.Wait()
}
