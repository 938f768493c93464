package control

import (
	"context"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/strategies"
)

// electorate sees to it, while this gateway leads, that the voters of Raft are those of the rule. It is a goroutine of
// its own: it asks gateways and waits for changes of rule, and nobody's fence may wait for that.
func (n *Node) electorate(ctx context.Context) {
	tick := time.NewTicker(n.cfg.Interval)
	defer tick.Stop()
	w := &watch{}
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if n.leading() && !n.cfg.Alone {
			n.duties(ctx, w, n.judgeVoters)
		}
	}
}

// judgeVoters takes one step: a gateway that is meant to vote is made a voter, and what an interrupted change has left
// is put in order.
func (n *Node) judgeVoters(ctx context.Context, _ *watch) error {
	p := n.fsm.read()
	if p.stuck != nil || p.cluster == "" || p.view.Ruling.Joint() || n.identity().Forcing != nil || !n.one.TryLock() {
		return nil
	}
	defer n.one.Unlock()
	servers, err := n.servers()
	if err != nil {
		return err
	}
	for _, s := range servers {
		v, votes := voterOf(s.ID), s.Suffrage == raft.Voter
		rostered := slices.ContainsFunc(p.view.Ruling.Now.Voters, func(m authority.Member) bool { return m.VoterID == v })
		switch {
		case votes && !rostered:
			return n.demote(s.ID)
		case votes:
		case rostered && n.newest(v):
			return n.enfranchise(s)
		case !rostered && n.wanted(v, p):
			return n.promote(ctx, s, p.declared)
		case !rostered && n.replaced(v, servers):
			return n.expel(v)
		}
	}
	return n.tidy(ctx, p, servers)
}

// wanted reports whether a gateway without a vote should have one: it returned with another store, or it is expected,
// and there are fewer voters than declared.
func (n *Node) wanted(v authority.VoterID, p published) bool {
	voters := p.view.Ruling.Now.Voters
	if slices.ContainsFunc(voters, func(m authority.Member) bool { return m.Name == v.Name }) {
		return n.newest(v)
	}
	return slices.Contains(n.cfg.Expect, v.Name) && len(voters) < p.declared && n.newest(v)
}

// newest reports whether a gateway says of itself that it is this store, and has caught up.
func (n *Node) newest(v authority.VoterID) bool {
	s, ok := n.tell(v.Name)
	role, err := strategies.ParseRole(s.Role)
	r := n.current()
	return ok && err == nil && role.Votes() && s.Store == v.Store && r != nil && s.Applied > 0 && s.Applied+caughtUp >= r.CommitIndex()
}

// caughtUp is how many entries a newcomer may lack to be given a vote.
const caughtUp = 16

// replaced reports whether a store without a vote is one that its gateway has lost, and joined with another.
func (n *Node) replaced(v authority.VoterID, servers []raft.Server) bool {
	for _, s := range servers {
		if other := voterOf(s.ID); other.Name == v.Name && other != v {
			self, ok := n.tell(v.Name)
			return ok && self.Store != v.Store && self.Cluster == n.identity().Cluster
		}
	}
	return false
}
