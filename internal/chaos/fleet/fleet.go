// Package fleet runs a whole fleet for chaos: every gateway is the real binary in a network namespace of its own,
// with a node of its own beside it and one node that all of them reach, and everything that can happen to it is a
// method. It must not know what is sent through it, nor judge what comes of it.
package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/ca"
	"github.com/quorate/quorate/internal/chaos/history"
	"github.com/quorate/quorate/internal/testnet"
	"github.com/quorate/quorate/strategies"
)

// Config describes a fleet.
type Config struct {
	Binary   string   // quorate
	Old      string   // what the gateways begin with; "" is Binary
	Dir      string   // configuration, certificates, data, journals and logs; must exist
	Env      []string // of the gateways, beside this process's own
	Gateways []history.Gateway
	Strategy string
	Master   string // for configured_master
	// Lease is split_brain.lease, 0 stands for auto; Interval is control.interval.
	Lease, Interval time.Duration
	// Spares are more nodes of each gateway's own, 0..8.
	Spares int
	// Settable leaves the strategy out of the files, so that it can be set; it begins as the default.
	Settable bool
	// Lawless leaves authority out: every gateway may always write. It is the control of the rig.
	Lawless bool
	// Disks gives every gateway a small disk of its own, which can be full.
	Disks bool
	// Power gives every gateway a disk of its own that loses what it was not made to keep when its power fails.
	Power bool
	// Sessions is the strategy by which sessions are kept, "" for the default.
	Sessions string
	Seed     uint64               // of what lines lose
	Delay    time.Duration        // each way between two regions
	Clock    func() time.Duration // the run's, monotonic
	Zero     time.Duration        // CLOCK_MONOTONIC when it showed 0
}

// check returns what is wrong with a configuration.
func (c Config) check() error {
	var problems []error
	if len(c.Gateways) < 1 || len(c.Gateways) > 9 {
		problems = append(problems, fmt.Errorf("%d gateways: write 1..9", len(c.Gateways)))
	}
	if c.Spares < 0 || c.Spares > 8 {
		problems = append(problems, fmt.Errorf("%d spare nodes: write 0..8", c.Spares))
	}
	if c.Binary == "" || c.Dir == "" || c.Clock == nil {
		problems = append(problems, errors.New("binary, folder and clock are needed"))
	}
	return errors.Join(problems...)
}

// Fleet is a running fleet. Its methods may be called concurrently.
type Fleet struct {
	cfg     Config
	net     *testnet.Net
	commons *node
	members []*Member
	lines   *lines

	mu       sync.Mutex
	changes  []history.Change
	standing []*Standing
}

// Start brings a fleet up: it returns when every gateway has verified its nodes.
func Start(ctx context.Context, cfg Config) (*Fleet, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("fleet: %w", err)
	}
	f := &Fleet{cfg: cfg, net: testnet.New(cfg.Seed)}
	if err := f.start(ctx); err != nil {
		f.Close()
		return nil, fmt.Errorf("fleet: %w", err)
	}
	return f, nil
}

func (f *Fleet) start(ctx context.Context) error {
	if err := ca.Init(f.cfg.Dir, ca.Options{}); err != nil {
		return err
	}
	if err := f.place(ctx); err != nil {
		return err
	}
	f.lines = newLines(f)
	if err := each(f.members, func(m *Member) error { return m.start(ctx) }); err != nil {
		return err
	}
	return each(f.members, func(m *Member) error { return m.healthy(ctx) })
}

// place makes the hosts and their nodes.
func (f *Fleet) place(ctx context.Context) error {
	common, err := f.net.Host("commons")
	if err != nil {
		return err
	}
	f.commons = &node{name: "commons", host: common, address: fmt.Sprintf("%s:%d", common.Addr(), firstPort), checks: true}
	nodes := []*node{f.commons}
	for _, g := range f.cfg.Gateways {
		h, err := f.net.Host(g.Name)
		if err != nil {
			return err
		}
		if _, err := ca.Issue(f.cfg.Dir, g.Region, g.Name, ca.Options{}); err != nil {
			return err
		}
		m := &Member{Gateway: g, fleet: f, host: h, binary: cmp.Or(f.cfg.Old, f.cfg.Binary)}
		if g.Role != strategies.Witness {
			m.nodes = own(g.Name, h, f.cfg.Spares)
			nodes = append(nodes, m.nodes...)
		}
		f.members = append(f.members, m)
		if err := m.mount(ctx); err != nil {
			return fmt.Errorf("disk of %s: %w", m.Name, err)
		}
	}
	return each(nodes, func(n *node) error { return n.start(ctx, f.cfg) })
}

// own are the nodes of a gateway's own: one, and spares.
func own(gateway string, h *testnet.Host, spares int) (all []*node) {
	for i := range 1 + spares {
		all = append(all, &node{name: fmt.Sprintf("n%d-%s", i+1, gateway), host: h, address: fmt.Sprintf("127.0.0.1:%d", firstPort+i)})
	}
	return all
}

// each does something with all of a list at once and returns what went wrong.
func each[T any](all []T, do func(T) error) error {
	errs := make([]error, len(all))
	var work sync.WaitGroup
	for i, x := range all {
		work.Go(func() { errs[i] = do(x) })
	}
	work.Wait()
	return errors.Join(errs...)
}

// Close ends the processes and the network; what they wrote stays.
func (f *Fleet) Close() {
	f.mu.Lock()
	standing := f.standing
	f.mu.Unlock()
	for _, s := range standing {
		_ = s.End() // whoever made it was told
	}
	for _, m := range f.members {
		m.close()
	}
	f.net.Close()
}

// Members returns the gateways in the order of the configuration.
func (f *Fleet) Members() []*Member { return f.members }

// Member returns the gateway of a name, nil when there is none.
func (f *Fleet) Member(name string) *Member {
	for _, m := range f.members {
		if m.Name == name {
			return m
		}
	}
	return nil
}

// Changes are what has happened so far, in the order of time.
func (f *Fleet) Changes() []history.Change {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]history.Change(nil), f.changes...)
}

// note notes a change at its time.
func (f *Fleet) note(c history.Change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c.At = f.cfg.Clock()
	f.changes = append(f.changes, c)
}

// log opens the log file of a process, to append to it.
func (f *Fleet) log(name string) (*os.File, error) {
	return os.OpenFile(filepath.Join(f.cfg.Dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
}
