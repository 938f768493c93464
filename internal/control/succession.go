package control

import (
	"context"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/internal/authority"
)

// succession has Raft elect a leader soon after the last one's process is gone, or has given up, and otherwise as soon as it
// has been silent for an election's timeout: Raft itself looks once in one to two of them, and so finds a silence only after up to three.
// Raft decides as ever; what changes is when a follower stops to wait.
func (n *Node) succession(ctx context.Context) {
	if n.cfg.Alone {
		return
	}
	tick := time.NewTicker(n.cfg.Interval / quarters / 2)
	defer tick.Stop()
	led := uint64(0)
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		r := n.current()
		if r == nil {
			continue
		}
		led = n.resign(r, led)
		if n.orphaned(r) {
			n.campaign(ctx, r)
		}
	}
}

// resigned is a leader that has given up, and its term.
type resigned struct {
	gateway string
	term    uint64
}

// resign tells the other voters that this gateway has led in a term and leads no more, where nobody else does: it gives up
// because it hears too few of them, and they may hear it well. It returns the term in which this gateway leads now, 0: in none.
func (n *Node) resign(r *raft.Raft, led uint64) uint64 {
	if r.State() == raft.Leader {
		return r.CurrentTerm()
	}
	if led == 0 || n.leader() != "" || n.cfg.Links == nil {
		return 0
	}
	s := signal{Cluster: n.clusterLabel(), Resigns: &resignation{Term: led}}
	for _, v := range n.Voters() {
		if v.Name != n.cfg.Gateway {
			n.cfg.Links.Signal(v.Name, s.encode())
		}
	}
	return 0
}

// gaveUp reports whether a leader has said that it leads no more in this term.
func (n *Node) gaveUp(leader string, term uint64) bool {
	said := n.driver.resigned.Load()
	return said != nil && *said == resigned{leader, term}
}

// orphaned reports whether this follower's leader is lost, and it is this gateway's turn to say so.
func (n *Node) orphaned(r *raft.Raft) bool {
	silent := time.Since(r.LastContact())
	if silent < n.tenureNow() || r.State() != raft.Follower || n.cfg.Links == nil {
		return false
	}
	leader := n.leader()
	if leader == "" || leader == n.cfg.Gateway || !n.votes() {
		return false
	}
	turn, ahead := n.turn(leader)
	if silent >= max(n.tenureNow(), r.ReloadableConfig().HeartbeatTimeout-ahead)+turn {
		return true
	}
	return silent >= n.tenureNow()+turn && (n.gaveUp(leader, r.CurrentTerm()) || gone(n.cfg.Links.Links(), leader, silent))
}

// votes reports whether this gateway is a voter.
func (n *Node) votes() bool {
	return slices.ContainsFunc(n.Voters(), func(m authority.Member) bool { return m.VoterID == n.me() })
}

func (n *Node) tenureNow() time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.tenure
}

// turn is how much longer than the first this gateway waits. Two candidates at once would split the votes; of those that
// come one after the other, the first find that the others still know the leader, and the one that completes a majority
// of those who do not is elected. How much ahead of that one the first is comes second: where silence is all there is, the
// one that is elected has waited for all of it. A question takes half a round trip to arrive.
func (n *Node) turn(leader string) (turn, ahead time.Duration) {
	before, voters := 0, n.Voters()
	for _, v := range voters {
		if v.Name != leader && v.Name < n.cfg.Gateway {
			before++
		}
	}
	apart := n.cfg.Interval/quarters + n.reach()
	return time.Duration(before) * apart, time.Duration(len(voters)/2) * apart
}

// campaign has Raft's follower look now, with the shortest patience it may have, and gives its own back when that was
// seen, or in vain.
func (n *Node) campaign(ctx context.Context, r *raft.Raft) {
	n.hasty.Store(true)
	defer n.hasty.Store(false)
	usual := r.ReloadableConfig()
	short := usual
	short.HeartbeatTimeout, short.ElectionTimeout = n.tenureNow(), n.tenureNow()
	if short.HeartbeatTimeout >= usual.HeartbeatTimeout || r.ReloadConfig(short) != nil {
		return
	}
	n.log.Info("control group: the leader is lost, its successor is elected now", "gateway", n.leader(), "silent", time.Since(r.LastContact()).Round(time.Millisecond).String())
	defer func() { _ = r.ReloadConfig(usual) }() // what was valid is
	over := time.NewTimer(usual.ElectionTimeout)
	defer over.Stop()
	tick := time.NewTicker(n.cfg.Interval / quarters)
	defer tick.Stop()
	for before := n.leader(); ; {
		select {
		case <-tick.C:
		case <-over.C:
			return
		case <-ctx.Done():
			return
		}
		if now := n.leader(); now != "" && now != before {
			return
		}
	}
}
