package failover

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/mcpnode/pool"
)

const (
	// gapLimit ends the wait for a gap; a gap that lasts longer counts with this length.
	gapLimit = 15 * time.Second
	// aimLimit bounds the wait for a call in flight on the chosen node.
	aimLimit = time.Second
	// unaimed is how many faults come for each one that hits without aiming.
	unaimed = 4
)

// faults does one fault after the other, each when every node takes traffic again.
func (r *run) faults(ctx context.Context) error {
	for i := range r.cfg.Kills {
		if err := pause(ctx, jitter(r.rnd, r.cfg.Pause)); err != nil {
			return err
		}
		if err := r.fault(ctx, i); err != nil {
			return err
		}
		over := time.Now()
		if err := r.awaitHealthy(ctx); err != nil {
			return err
		}
		r.returns = append(r.returns, time.Since(over))
	}
	return nil
}

// fault hits one node, waits for the gap to end and brings the node back.
func (r *run) fault(ctx context.Context, i int) error {
	nodes := r.pool.Nodes()
	victim := nodes[r.rnd.IntN(len(nodes))]
	if i%unaimed != 0 {
		victim = Aim(ctx, victim, nodes)
	}
	out := r.load.Watch()
	if err := r.hit(victim); err != nil {
		return err
	}
	r.load.Alarm()
	if victim.InFlight() > 0 {
		r.busy++
	}
	limit := time.NewTimer(gapLimit)
	defer limit.Stop()
	select {
	case <-out.done:
	case <-limit.C:
	case <-ctx.Done():
	}
	gap := out.Gap(time.Now())
	if ctx.Err() == nil {
		r.remember(out, gap)
	}
	return r.recover(ctx, victim)
}

// remember keeps a gap, and of the longest who had it.
func (r *run) remember(out *Outage, gap time.Duration) {
	if len(r.gaps) == 0 || gap > slices.Max(r.gaps) {
		r.longest = out.Story()
	}
	r.gaps = append(r.gaps, gap)
}

// Aim waits up to a second until the preferred node, or at last any, has a call in flight, and returns it.
func Aim(ctx context.Context, preferred *pool.Node, nodes []*pool.Node) *pool.Node {
	limit := time.Now().Add(aimLimit)
	for time.Now().Before(limit) && ctx.Err() == nil {
		if preferred.InFlight() > 0 {
			return preferred
		}
		if time.Until(limit) < aimLimit/2 {
			preferred = nodes[(indexOf(nodes, preferred)+1)%len(nodes)]
		}
		_ = pause(ctx, 200*time.Microsecond)
	}
	return preferred
}

func indexOf(nodes []*pool.Node, n *pool.Node) int {
	for i := range nodes {
		if nodes[i] == n {
			return i
		}
	}
	return 0
}

func (r *run) hit(n *pool.Node) error {
	if r.cfg.Fault == BlackHole {
		return n.Freeze()
	}
	n.Kill()
	return nil
}

// recover brings the node back: a killed one by a new process, a frozen one so or by thawing.
func (r *run) recover(ctx context.Context, n *pool.Node) error {
	if r.cfg.Fault == BlackHole && r.rnd.IntN(2) == 0 {
		r.thawed++
		return n.Thaw()
	}
	n.Kill()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), gapLimit)
	defer cancel()
	if err := n.Start(ctx); err != nil {
		return errors.Join(fmt.Errorf("failover: restart of %s", n.ID), err)
	}
	return nil
}
