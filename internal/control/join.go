package control

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/peer"
)

// joining asks for a place in the group.
type joining struct {
	Store   string `json:"store"`
	Address string `json:"address"`
}

func (j *joining) valid() bool {
	_, _, err := net.SplitHostPort(j.Address)
	return err == nil && j.Store != "" && len(j.Store) <= authority.MaxName && len(j.Address) <= authority.MaxName &&
		!strings.Contains(j.Store+j.Address, "/")
}

// maxServers bounds the group: Raft keeps a copy of its state going to every one.
const maxServers = authority.MaxGateways + authority.MaxVoters

// joined says whom to ask instead, "" when it is done.
type joined struct {
	Leader string `json:"leader"`
}

// ask asks a gateway, or the leader that it names, for a place.
func (n *Node) ask(ctx context.Context, gateway string) error {
	j := joining{Store: n.me().Store, Address: n.cfg.Address}
	var answer joined
	if err := n.call(ctx, gateway, "join", j, &answer); err != nil {
		return err
	}
	if answer.Leader == "" {
		return nil
	}
	leader := answer.Leader
	if err := n.call(ctx, leader, "join", j, &answer); err != nil {
		return err
	}
	if answer.Leader != "" {
		return fmt.Errorf("control: join: %w: %s does not lead any more", ErrNoQuorum, leader)
	}
	return nil
}

// admit gives a gateway a place without a vote, at the leader.
func (n *Node) admit(j joining, from peer.Identity) (joined, error) {
	r := n.current()
	if r == nil || !j.valid() {
		return joined{}, fmt.Errorf("%w: no cluster here, or no store and address", ErrRefused)
	}
	if r.State() != raft.Leader {
		leader := n.leader()
		if leader == "" || leader == n.cfg.Gateway {
			return joined{}, fmt.Errorf("%w: no leader is known", ErrNoQuorum)
		}
		return joined{Leader: leader}, nil
	}
	id, address := idOf(authority.VoterID{Name: from.Gateway, Store: j.Store}), serverAddress(j.Address, j.Store)
	f := r.GetConfiguration()
	if err := f.Error(); err != nil {
		return joined{}, ended(err)
	}
	add, known := r.AddNonvoter, false
	for _, s := range f.Configuration().Servers {
		if s.ID == id && s.Address == address {
			return joined{}, nil
		}
		if s.ID == id && s.Suffrage == raft.Voter {
			add = r.AddVoter // the same one at another address
		}
		known = known || s.ID == id
	}
	if !known && len(f.Configuration().Servers) >= maxServers {
		return joined{}, fmt.Errorf("%w: the group is full with %d gateways", ErrRefused, maxServers)
	}
	if err := add(id, address, 0, Patience).Error(); err != nil {
		return joined{}, ended(err)
	}
	n.log.Info("control group: a gateway has its place", "gateway", from.Gateway, "address", j.Address)
	return joined{}, nil
}

// stay asks for its place again when it starts, since its address may be another one.
func (n *Node) stay(ctx context.Context) {
	for ctx.Err() == nil {
		leader := n.leader()
		if leader == n.cfg.Gateway || leader != "" && n.ask(ctx, leader) == nil {
			return
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
}
