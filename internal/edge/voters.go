package edge

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/quorate/quorate/internal/admin"
	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/control"
)

// voters are the control group's, for operators.
type voters struct{ e *Edge }

// List implements admin.Voters.
func (v voters) List() []admin.Voter {
	var all []admin.Voter
	for _, m := range v.e.gate.node.Voters() {
		all = append(all, voterStatus(m))
	}
	return all
}

func voterStatus(m authority.Member) admin.Voter {
	role := admin.RoleVoter
	if m.Witness {
		role = admin.RoleWitness
	}
	return admin.Voter{Name: m.Name, Role: role, Region: m.Region, Revision: uint64(m.Joined)}
}

// find returns a voter, and whether it is one.
func (v voters) find(name string) (admin.Voter, bool) {
	all := v.List()
	i := slices.IndexFunc(all, func(o admin.Voter) bool { return o.Name == name })
	if i < 0 {
		return admin.Voter{}, false
	}
	return all[i], true
}

// Put implements admin.Voters.
func (v voters) Put(ctx context.Context, c admin.VoterChange) (admin.Voter, error) {
	now, there := v.find(c.Name)
	if !c.Condition.Holds(now.Revision, there) {
		return admin.Voter{}, admin.ErrPrecondition
	}
	was := there
	if !there {
		v.e.log.Warn("a gateway becomes a voter by an operator", "gateway", c.Name, "by", c.By)
		if err := v.e.gate.node.AddVoter(ctx, c.Name, c.Declared); err != nil {
			return admin.Voter{}, forVoters(err)
		}
		if now, there = v.find(c.Name); !there {
			return admin.Voter{}, fmt.Errorf("%w: it was removed meanwhile", admin.ErrVoterRefused)
		}
	}
	if err := asAsked(c, now, was); err != nil {
		return admin.Voter{}, err
	}
	return now, nil
}

// asAsked returns why a voter is not what was asked for: role and region are its own file's. One that was none before has
// got its vote all the same, and whoever asked for it must know.
func asAsked(c admin.VoterChange, now admin.Voter, was bool) error {
	if now.Role == c.Role && (c.Region == "" || now.Region == c.Region) {
		return nil
	}
	vote := "is"
	if !was {
		vote = "has its vote now, and is"
	}
	return fmt.Errorf("%w: %s %s a %s of %s, as its own file says; ask for that, or change the file and run quorate rejoin", admin.ErrVoterRefused, c.Name, vote, now.Role, now.Region)
}

// Remove implements admin.Voters.
func (v voters) Remove(ctx context.Context, c admin.VoterChange) error {
	now, there := v.find(c.Name)
	if !c.Condition.Holds(now.Revision, there) {
		return admin.ErrPrecondition
	}
	if !there {
		return admin.ErrNoVoter
	}
	v.e.log.Warn("a voter loses its vote by an operator", "gateway", c.Name, "by", c.By)
	return forVoters(v.e.gate.node.RemoveVoter(ctx, c.Name))
}

// forVoters translates the control group's errors.
func forVoters(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, control.ErrStranger):
		return fmt.Errorf("%w: %w", admin.ErrNoVoter, err)
	case errors.Is(err, control.ErrRefused):
		return fmt.Errorf("%w: %w", admin.ErrVoterRefused, err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: %w", admin.ErrUnknownOutcome, err)
	}
	return fmt.Errorf("%w: %w", admin.ErrNoQuorum, err)
}
