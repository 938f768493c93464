package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/events"
	"github.com/quorate/quorate/strategies"
)

// forcing is a recovery under way. It stands in the identity before anything is done, together with the next
// generation, so that a crash at any point leaves a gateway that goes on with it and is of the old one no more.
type forcing struct {
	By        string `json:"by"`
	At        string `json:"at"`
	Recovered bool   `json:"recovered"` // the log is of this voter alone
}

// Force recovers the group from this voter alone, under a new generation of the cluster, by an operator's word that
// everybody else is off. Links refuse the old generation from then on; gateways of it return as new members, see
// SetAside. It is refused while a leader is known, since then Lead does it without a risk. An error that wraps neither
// ErrRefused nor the context's says that it was begun: it goes on when this gateway is started again.
func (n *Node) Force(ctx context.Context, region, by string) error {
	n.one.Lock()
	defer n.one.Unlock()
	if err := n.forcible(region, by); err != nil {
		return err
	}
	n.log.Error("control group: FORCED by an operator who attests that every other gateway is off", "by", by, "region", region)
	n.cfg.Event(events.Forced, n.cfg.Gateway, "by "+by)
	r, err := n.silence(ctx)
	if err != nil {
		return fmt.Errorf("control: force: %w", err)
	}
	f := forcing{By: by, At: time.Now().UTC().Format(time.RFC3339Nano)}
	if err := n.note(func(id *identity) { id.Epoch, id.Forcer, id.Forcing = id.Epoch+1, id.Store, &f }); err != nil {
		n.speak(r)
		return fmt.Errorf("control: force: %w", err)
	}
	n.relabel()
	n.cfg.Links.Regreet()
	if err := n.recover(); err != nil {
		return fmt.Errorf("control: force: %w", err)
	}
	n.speak(r)
	if err := n.startRaft(); err != nil {
		return fmt.Errorf("control: force: %w", err)
	}
	return nil
}

// forcible returns why the group cannot be forced here, or nil.
func (n *Node) forcible(region, by string) error {
	leader, p := n.leader(), n.fsm.read()
	switch {
	case n.cfg.Alone:
		return fmt.Errorf("%w: a fleet of one always leads", ErrRefused)
	case by == "" || len(by) > authority.MaxName:
		return fmt.Errorf("%w: who forces it is told in 1 to %d bytes", ErrRefused, authority.MaxName)
	case region != n.cfg.Region:
		return fmt.Errorf("%w: this gateway is in %s; ask a voter of %.64q", ErrRefused, n.cfg.Region, region)
	case p.stuck != nil:
		return fmt.Errorf("%w: %w", ErrRefused, p.stuck)
	case !n.cfg.Role.Votes() || !n.seated():
		return fmt.Errorf("%w: this gateway has no vote; ask a voter of %s", ErrRefused, region)
	case n.left() != 0:
		return fmt.Errorf("%w: the fleet has gone on without this gateway: %s", ErrRefused, leftHint)
	case leader != "":
		return fmt.Errorf("%w: %s leads, with a majority: force-leader needs no attestation", ErrRefused, leader)
	}
	return nil
}

// seated reports whether the rule counts this store.
func (n *Node) seated() bool {
	for _, v := range n.fsm.read().view.Ruling.Now.Voters {
		if v.VoterID == n.me() {
			return true
		}
	}
	return false
}

// silence closes this gate, ends this voter's acks, and waits until nothing that they promised stands. On an error the
// voter is back.
func (n *Node) silence(ctx context.Context) (authority.Record, error) {
	var r authority.Record
	err := n.driver.do(ctx, func(d *driver) {
		d.gate.End()
		if d.voter != nil {
			r = d.voter.Record()
		}
		d.voter = nil
	})
	if err != nil {
		return r, err
	}
	if r.Voter != n.me() {
		return r, fmt.Errorf("%w: this voter is silent", ErrRefused)
	}
	if err := n.driver.scribe.settle(r); err != nil {
		return r, err
	}
	select {
	case <-time.After(r.Largest):
		return r, nil
	case <-ctx.Done():
		n.speak(r)
		return r, ctx.Err()
	}
}

// speak lets the voter begin again with what its disk holds, as after a restart.
func (n *Node) speak(r authority.Record) {
	_ = n.driver.do(n.ctx, func(d *driver) { // it fails when this gateway stops
		if v, err := authority.NewVoter(r, d.lease.Now()); err == nil {
			d.voter = v
		}
	})
}

// recover makes the log one of this voter alone, which goes on above every index of the one before, and may be repeated
// until Raft has started on it.
func (n *Node) recover() error {
	if err := n.stopRaft(); err != nil {
		return err
	}
	if err := errors.Join(n.readAgain(), n.fsm.reset()); err != nil {
		return err
	}
	_, t := raft.NewInmemTransport("recovery")
	only := raft.Configuration{Servers: []raft.Server{{Suffrage: raft.Voter, ID: idOf(n.me()), Address: serverAddress(n.cfg.Address, n.me().Store)}}}
	id := n.identity()
	far := leap{n.store.snapshots, beginning(id.Epoch, id.Forcing.At)}
	if err := raft.RecoverCluster(n.raftConfig(n.cfg.Distance), n.fsm, n.store.logs, n.store.stable, far, t, only); err != nil {
		return err
	}
	if err := n.fsm.reset(); err != nil {
		return err
	}
	return n.note(func(id *identity) {
		f := *id.Forcing
		f.Recovered = true
		id.Forcing = &f
	})
}

// force is the first command after a recovery. Of one voter there is one rule: no strategy is asked, and least one whose
// master is off.
func (n *Node) force(ctx context.Context, p published) error {
	f := *n.identity().Forcing
	if !slices.ContainsFunc(p.forced, func(o authority.Forcing) bool { return o.By == f.By && o.At == f.At }) {
		c, err := n.forceCommand(ctx, f, p.declared)
		if err == nil {
			err = n.command(ctx, c)
		}
		if err != nil {
			return err
		}
	}
	n.one.Lock()
	defer n.one.Unlock()
	return n.note(func(id *identity) { id.Forcing = nil })
}

func (n *Node) forceCommand(ctx context.Context, f forcing, declared int) (authority.Force, error) {
	c := authority.Force{Declared: max(1, declared), By: f.By, At: f.At, Quorum: authority.Quorum{
		Source:  strategies.Single(n.cfg.Gateway).Encode(),
		Voters:  []authority.Member{{VoterID: n.me(), Region: n.cfg.Region, Witness: n.witness()}},
		Promise: authority.DefaultPromise(n.cfg.Interval, n.reach()),
	}}
	err := n.driver.do(ctx, func(d *driver) {
		if d.voter != nil {
			c.Above = d.voter.Record().Version
		}
	})
	return c, err
}
