package control

import (
	"slices"

	"github.com/quorate/quorate/internal/events"
	"github.com/quorate/quorate/internal/peer"
)

// Foreign is what an operator is told at a gateway that the fleet refuses.
const Foreign = "this gateway's store is of another cluster, or of a generation that the fleet has left (it was forced without this gateway); if the others are right, stop it, run quorate rejoin --config FILE, and start it again"

// noteForeign finds out whether this gateway is one that the fleet has left behind: it has a store, nobody leads, and
// others refuse its links. It says so once.
func (n *Node) noteForeign() {
	if n.cfg.Links == nil || n.clusterLabel() == "" {
		return
	}
	now := n.leader() == "" && slices.ContainsFunc(n.cfg.Links.Links(), func(l peer.Link) bool { return l.Foreign })
	if now && !n.foreign.Swap(true) {
		n.log.Error("control group: "+Foreign, "cluster", n.clusterLabel())
		n.cfg.Event(events.Refused, n.cfg.Gateway, Foreign)
	}
	if !now {
		n.foreign.Store(false)
	}
}

// Refused reports whether the fleet refuses this gateway's store.
func (n *Node) Refused() bool { return n.foreign.Load() }
