package control

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/authority"
)

// Cluster is what links are told: cluster and generation, "" while there is none.
func (n *Node) Cluster() string { return n.clusterLabel() }

// Allow reports whether a write may go out now. It is called on the request path.
func (n *Node) Allow() bool { return n.lease.Allow() }

// Decide says what to do with a request. It is called on the request path.
func (n *Node) Decide(a authority.Asked) authority.Decision {
	return authority.Decide(n.lease.Allow(), n.cfg.Mode, a)
}

// Fence is the epoch that nodes are told with writes; 0: none, as there is nobody to be fenced from.
func (n *Node) Fence() uint64 {
	if n.cfg.Alone {
		return 0
	}
	return n.driver.epoch.Load()
}

// Lease is how long this gateway may go on after the last acknowledgements, at most; 0: for ever, or not known yet.
func (n *Node) Lease() time.Duration {
	if n.cfg.Alone {
		return 0
	}
	promise := time.Duration(n.driver.promise.Load())
	if n.cfg.Lease > 0 {
		promise = min(promise, n.cfg.Lease)
	}
	return promise
}

// Promise is how long voters go on helping a gateway that they hear no more, by what is applied here; 0: not known yet.
func (n *Node) Promise() time.Duration { return time.Duration(n.driver.promise.Load()) }

// ToLeader is the round trip to the gateway that leads, as its link has measured it last; 0: this one leads, or it is not
// known.
func (n *Node) ToLeader() time.Duration {
	leader := n.leader()
	if leader == "" || leader == n.cfg.Gateway || n.cfg.Links == nil {
		return 0
	}
	for _, l := range n.cfg.Links.Links() {
		if l.Gateway == leader && l.Up {
			return l.RTT
		}
	}
	return 0
}

// Receive takes in a signal; it never blocks.
func (n *Node) Receive(from string, payload []byte) {
	s, ok := decodeSignal(payload)
	if !ok {
		return
	}
	select {
	case n.driver.inbox <- arrival{from, s}:
	default: // the driver is late; whoever sent this will send again
	}
}

// Leader returns the name of the gateway that leads the control group, "" while none is known.
func (n *Node) Leader() string { return n.leader() }

// Place is a member of the group, and where it says that it is reached.
type Place struct{ Gateway, Address string }

// Places returns the other members of the group, by name.
func (n *Node) Places() []Place {
	servers, err := n.servers()
	if err != nil {
		return nil
	}
	var all []Place
	for _, s := range servers {
		if at, _, _ := strings.Cut(string(s.Address), "/"); nameOf(s.ID) != n.cfg.Gateway {
			all = append(all, Place{nameOf(s.ID), at})
		}
	}
	slices.SortFunc(all, func(a, b Place) int { return cmp.Compare(a.Gateway+"/"+a.Address, b.Gateway+"/"+b.Address) })
	return slices.Compact(all)
}
