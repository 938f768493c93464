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

func newTrackers(log *slog.Logger) *trackers {
	return &trackers{log: log, changed: make(chan struct{}, 1), byID: make(map[string]*tracked)}
}

// set starts, feeds and stops trackers so that they fit cfg. Nodes that stay keep what is known of them,
// unless the service's checks themselves changed.
func (t *trackers) set(cfg *config.Config) error {
	proposals := make(map[string][]regions.Proposal, len(cfg.Services))
	for _, s := range cfg.Services {
		p, err := proposed(cfg.Region, s)
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

// proposed joins what all sources of a service propose.
func proposed(region string, s config.Service) ([]regions.Proposal, error) {
	var all []regions.Proposal
	for _, d := range s.Discover {
		if d.Static == nil {
			continue
		}
		nodes := make([]static.Node, 0, len(d.Static.Nodes))
		for _, n := range d.Static.Nodes {
			nodes = append(nodes, static.Node{ID: n.ID, URL: n.URL, Weight: n.Weight})
		}
		source, err := static.New(static.Config{Service: s.Name, Region: region, Nodes: nodes})
		if err != nil {
			return nil, err
		}
		all = append(all, source.Proposals()...)
	}
	return all, nil
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

// forward joins the trackers' signals into one.
func (t *trackers) forward(n *tracked) {
	for {
		select {
		case <-n.stop:
			return
		case <-n.Changed():
			select {
			case t.changed <- struct{}{}:
			default:
			}
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

// firstLook waits until every node was checked once, at most bound.
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
			if node.State == regions.Unknown && node.ConsecutiveFailures == 0 {
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
