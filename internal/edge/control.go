package edge

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/control"
	"github.com/quorate/quorate/internal/ledger"
	"github.com/quorate/quorate/internal/peer"
	"github.com/quorate/quorate/internal/planted"
	"github.com/quorate/quorate/internal/regional"
	"github.com/quorate/quorate/internal/rulebook"
	"github.com/quorate/quorate/internal/settings"
	"github.com/quorate/quorate/strategies"
	"github.com/quorate/quorate/strategies/winnertakesall"
)

// gate is the data plane's way to the control group, which is opened after it.
type gate struct{ node *control.Node }

// Allow implements gateway.Authority.
func (g *gate) Allow() bool { return g.node.Allow() || planted.On(planted.Recheck) }

// Decide implements gateway.Authority.
func (g *gate) Decide(a authority.Asked) authority.Decision { return g.node.Decide(a) }

// Fence implements gateway.Authority.
func (g *gate) Fence() uint64 {
	if planted.On(planted.Epoch) {
		return math.MaxInt64
	}
	return g.node.Fence()
}

// lease is how long a permit lasts at most; 0 where it lasts for ever.
func (g *gate) lease() time.Duration { return g.node.Lease() }

// isWitness reports whether this gateway carries no traffic.
func isWitness(cfg *config.Config) bool { return cfg.Control.RoleOf() == strategies.Witness }

// openControl takes this gateway's place in the control group. Without one of its file's it is a fleet of one,
// which needs no links, no strategy and nobody's leave.
func (e *Edge) openControl(cfg *config.Config) error {
	c := control.Config{
		Gateway: cfg.Name, Region: cfg.Region, Mode: cfg.SplitBrain.Mode(), Rules: rulebook.Rulebook{},
		Build: e.opts.Version, Parts: e.parts(), Own: append(ownParts(), ledger.PartName), Ended: e.ended, Expired: expired, Event: e.happened, Logger: e.log,
	}
	if cfg.Controlled() {
		if err := e.openStrategy(cfg); err != nil {
			return err
		}
		c.Role, c.Expect, c.Interval, c.Lease = cfg.Control.RoleOf(), cfg.Control.Expect, cfg.Control.Interval, cfg.SplitBrain.LeaseOf()
		c.Address, c.Distance, c.Links = e.advertised(cfg), farthest(cfg), e.links.peers
		c.Ask, c.Options, c.Lead = e.strategy.decide, e.strategy.options, e.strategy.Lead
		c.Dir = ControlDir(cfg)
	} else {
		c.Alone = true
		c.Ask = func(_ context.Context, in strategies.Input) (strategies.Rule, error) { return winnertakesall.Rule(in) }
		if cfg.DataDir != "" {
			c.Dir = ControlDir(cfg)
		}
	}
	node, err := control.Open(c)
	if err != nil {
		return err
	}
	e.gate.node = node
	return nil
}

// ControlDir is where a gateway with a data_dir keeps what it knows of its control group. A fleet of one has a place
// of its own: its group would be a foreign one to the fleet that it becomes part of.
func ControlDir(cfg *config.Config) string {
	if cfg.Controlled() {
		return filepath.Join(cfg.DataDir, "control")
	}
	return filepath.Join(cfg.DataDir, "alone")
}

// advertised is where other gateways reach this one.
func (e *Edge) advertised(cfg *config.Config) string {
	if cfg.Peer.Advertise != "" {
		return cfg.Peer.Advertise
	}
	return e.PeerAddr()
}

// farthest is the longest round trip that the file expects.
func farthest(cfg *config.Config) time.Duration {
	far := time.Duration(0)
	for _, r := range cfg.Regions {
		far = max(far, r.RTT)
	}
	return far
}

// cluster names the cluster that links belong to; "" for a fleet of one.
func (e *Edge) cluster() string {
	if !e.cfg.Load().Controlled() {
		return ""
	}
	return e.gate.node.Cluster()
}

// foreign tells the control group of a gateway of another cluster.
func (e *Edge) foreign(cluster string) {
	if e.cfg.Load().Controlled() {
		e.gate.node.Met(cluster)
	}
}

// signaled hands a signal of another gateway to the control group.
func (e *Edge) signaled(from peer.Identity, payload []byte) {
	if e.cfg.Load().Controlled() {
		e.gate.node.Receive(from.Gateway, payload)
	}
}

// followMembers keeps links with every member of the control group, wherever it was heard of first.
func (e *Edge) followMembers(ctx context.Context) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	var known []string
	began := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if time.Since(began) < acquaintance {
			continue
		}
		now := e.unlinked()
		if slices.Equal(now, known) {
			continue
		}
		known = now
		if err := e.links.members(e.cfg.Load(), now); err != nil {
			e.log.Warn("no links with the control group's new members", "cause", err.Error())
		}
	}
}

// acquaintance is how long the links of the file have to find out whom they lead to.
const acquaintance = 3 * time.Second

// unlinked returns the addresses of members to whom no link of the file leads. Where one does, its address is the way
// that the operator wants to be taken, up or not.
func (e *Edge) unlinked() []string {
	var all []string
	filed := e.links.filed(e.cfg.Load())
	for _, p := range e.gate.node.Places() {
		led := slices.ContainsFunc(e.links.list(), func(l peer.Link) bool {
			return !l.In && l.Gateway == p.Gateway && slices.Contains(filed, l.Address)
		})
		if !led {
			all = append(all, p.Address)
		}
	}
	return all
}

// closeControl leaves the control group.
func (e *Edge) closeControl(ctx context.Context) error {
	if e.gate.node == nil {
		return nil
	}
	if err := e.gate.node.Close(ctx); err != nil {
		return fmt.Errorf("edge: %w", err)
	}
	return nil
}

// parts are what is replicated besides authority.
func (e *Edge) parts() map[string]control.Part {
	all := e.sessions.parts()
	if e.opts.Group == nil {
		all[settings.PartName], all[regional.PartName] = groupPart{e.documents.part}, groupPart{e.orders}
		all[ledger.PartName] = groupPart{e.keys.part}
	}
	return all
}
