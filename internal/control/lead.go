package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/internal/events"
)

// leadQuery asks the leader to give leadership to a region.
type leadQuery struct {
	Region string `json:"region"`
}

func encode(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	return b, nil
}

// Lead moves leadership to a voter of the region. It needs a quorum; without one, see Force.
func (n *Node) Lead(ctx context.Context, region string) error {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	q := leadQuery{region}
	b, err := encode(q)
	if err != nil {
		return err
	}
	return n.toLeader(ctx, "lead", b, &struct{}{}, func() (any, error) { return struct{}{}, n.leadHere(region) })
}

// leadHere gives leadership away, at the leader.
func (n *Node) leadHere(region string) error {
	r := n.current()
	if r == nil || r.State() != raft.Leader {
		return errNotLeader
	}
	servers, err := n.servers()
	if err != nil {
		return err
	}
	known := false
	for _, v := range n.fsm.read().view.Ruling.Now.Voters {
		if v.Region != region {
			continue
		}
		known = true
		if v.VoterID == n.me() {
			return nil
		}
		for _, s := range servers {
			if s.ID != idOf(v.VoterID) || s.Suffrage != raft.Voter {
				continue
			}
			if !n.linkedTo(v.Name) { // Raft would wait for it, and take no entries meanwhile
				err = errors.New("there is no link with it")
				continue
			}
			if err = r.LeadershipTransferToServer(s.ID, s.Address).Error(); err == nil {
				n.log.Warn("control group: leadership moved by an operator", "region", region, "gateway", v.Name)
				n.cfg.Event(events.LeaderChanged, v.Name, "by an operator")
				return nil
			}
		}
	}
	switch {
	case !known:
		return fmt.Errorf("%w: region %.64q has no voter", ErrRefused, region)
	case err != nil:
		return fmt.Errorf("%w: no voter of %s takes it: %w", ErrRefused, region, err)
	}
	return fmt.Errorf("%w: no voter of %s has a vote now", ErrRefused, region)
}
