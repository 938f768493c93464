package control

import (
	"context"
	"strconv"
	"strings"
	"time"
)

// leftHint is what to do at a gateway that the fleet has left behind.
const leftHint = "stop it, run quorate rejoin --config FILE, and start it again"

// Met takes note of the cluster of a gateway whose link is refused. A later generation of this one says that an
// operator has attested that this gateway is off: then it must not help another one of its old generation to write,
// with which it may well be a majority of the old rule. It never blocks.
func (n *Node) Met(cluster string) {
	id := n.identity()
	name, rest, ok := strings.Cut(cluster, ".")
	generation, _, _ := strings.Cut(rest, ".")
	if g, err := strconv.ParseUint(generation, 10, 64); ok && err == nil && name == id.Cluster && g > id.Epoch {
		for before := n.met.Load(); g > before && !n.met.CompareAndSwap(before, g); before = n.met.Load() {
		}
	}
}

// left is the generation with which the fleet has gone on without this store, 0 for none.
func (n *Node) left() uint64 { return n.identity().Left }

// leftBehind waits until the fleet has gone on without this gateway, and then ends its part in the old generation.
func (n *Node) leftBehind(ctx context.Context) {
	tick := time.NewTicker(n.cfg.Interval / quarters)
	defer tick.Stop()
	for n.met.Load() <= n.identity().Epoch {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
	if n.driver.do(ctx, (*driver).retire) != nil {
		return // it ends anyway
	}
	n.one.Lock()
	defer n.one.Unlock()
	generation := n.met.Load()
	n.leaving.Store(true)
	n.log.Error("control group: the fleet has gone on without this gateway, by an operator's order: it writes and votes no more; "+leftHint,
		"generation", n.identity().Epoch, "fleet", generation)
	if err := n.note(func(id *identity) { id.Left = generation }); err != nil {
		n.log.Error("control group: that the fleet has gone on is not on disk, and found out again after a restart", "cause", err.Error())
	}
	if err := n.stopRaft(); err != nil {
		n.log.Warn("control group: raft does not end", "cause", err.Error())
	}
}

// retire closes the gate for good, and ends this voter's acks.
func (d *driver) retire() {
	d.retired, d.voter, d.open = true, nil, false
	d.gate.End()
	d.showLife()
	d.lease.Set(0)
}
