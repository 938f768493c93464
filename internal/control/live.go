package control

import (
	"context"
	"errors"
	"time"

	"github.com/quorate/quorate/internal/authority"
)

// live sees to it that this process has a life in the roster: it joins, and after its life has ended it joins as
// another.
func (n *Node) live(ctx context.Context) {
	if n.witness() {
		return
	}
	said := ""
	for ctx.Err() == nil && !n.leaving.Load() {
		wait, err := n.tryLive(ctx)
		if err != nil && ctx.Err() == nil && err.Error() != said {
			said = err.Error()
			n.log.Info("not in the roster yet", "cause", said)
		}
		if err == nil {
			said = ""
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

// standing is how this process stands in the roster.
type standing struct {
	joined  bool   // the log holds this process's life, and it goes on
	nonce   string // to join with
	before  authority.Standing
	earlier bool // an earlier life of this gateway has not ended
	ready   bool // there is a cluster to join
}

// tryLive takes the next step, and says when to look again.
func (n *Node) tryLive(ctx context.Context) (time.Duration, error) {
	s, err := n.standing(ctx)
	if err != nil || !s.ready {
		return n.forLife(), err
	}
	if s.joined {
		return n.cfg.Interval, nil
	}
	if s.earlier && n.cfg.Alone {
		return n.forLife(), n.give(ctx, authority.Leave{Life: s.before.Life}) // it is dead: this process has its directory
	}
	if s.earlier {
		if s.before.Suspect != 0 {
			return n.cfg.Interval / quarters, nil // its fence is on the way
		}
		return n.cfg.Interval / quarters, n.give(ctx, authority.Suspect{Life: s.before.Life})
	}
	j := authority.Join{Gateway: n.cfg.Gateway, Region: n.cfg.Region, Store: n.me().Store, Nonce: s.nonce}
	if err = n.command(ctx, j); errors.Is(err, ErrRefused) && !n.cfg.Alone {
		return refusedFor, err
	}
	return min(n.forLife(), n.cfg.Interval/quarters), err
}

// forLife is how often a gateway without a life looks whether it can have one. Alone there is nobody to wait for.
func (n *Node) forLife() time.Duration {
	if n.cfg.Alone {
		return n.cfg.Interval / (5 * quarters)
	}
	return n.cfg.Interval
}

// refusedFor is when a gateway that was refused a life asks again: every question is an entry of the log.
const refusedFor = 2 * time.Second

// give has a command committed; that the log refuses it says only that it has moved on.
func (n *Node) give(ctx context.Context, c authority.Command) error {
	if err := n.command(ctx, c); !errors.Is(err, ErrRefused) {
		return err
	}
	return nil
}

func (n *Node) standing(ctx context.Context) (s standing, err error) {
	err = n.driver.do(ctx, func(d *driver) {
		s.ready = (!n.cfg.Alone || n.leading()) && d.view.Ruling.Version != 0 && d.fsm.read().stuck == nil && !n.leaving.Load()
		if !s.ready {
			return
		}
		if d.gate.Ended() {
			if err = d.newGate(); err != nil {
				return
			}
		}
		s.joined, s.nonce = d.gate.Life().Incarnation != 0, d.gate.Nonce()
		for _, l := range d.view.Lives {
			if l.Gateway == d.cfg.Gateway && l.Fenced == 0 && l.Nonce != s.nonce {
				s.earlier, s.before = true, l
			}
		}
	})
	return s, err
}
