package control

import (
	"context"
	"slices"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/internal/authority"
)

// Servers returns the ids of Raft's servers, those with a vote first by themselves.
func (n *Node) Servers() (voters, others []string) {
	servers, err := n.servers()
	if err != nil {
		return nil, nil
	}
	for _, s := range servers {
		if s.Suffrage == raft.Voter {
			voters = append(voters, nameOf(s.ID))
		} else {
			others = append(others, nameOf(s.ID))
		}
	}
	slices.Sort(voters)
	slices.Sort(others)
	return voters, others
}

// Unseat takes a server's vote and leaves its place in the rule, as an interrupted change may.
func (n *Node) Unseat(name string) error {
	servers, err := n.servers()
	if err != nil {
		return err
	}
	for _, s := range servers {
		if nameOf(s.ID) == name {
			return n.demote(s.ID)
		}
	}
	return ErrRefused
}

// Holds returns the life of this gateway's gate and whether it is open, read at one moment.
func (n *Node) Holds(ctx context.Context) (life authority.Life, open bool, err error) {
	err = n.driver.do(ctx, func(d *driver) { life, open = d.gate.Life(), n.lease.Allow() })
	return life, open, err
}

// Gone returns the lives that have ended, as this gateway has applied it.
func (n *Node) Gone() map[authority.Life]bool {
	all := map[authority.Life]bool{}
	for _, g := range n.fsm.read().gateways {
		if g.Fenced != 0 {
			all[g.Life] = true
		}
	}
	return all
}

// Ruling is the rule in force here.
func (n *Node) Ruling() *authority.Ruling { r := n.fsm.read().view.Ruling; return &r }
