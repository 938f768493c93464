package strategyv1

import (
	"errors"
	"fmt"
	"math"

	"github.com/quorate/quorate/strategies"
)

// FromInput is a strategy's input as it goes over the wire.
func FromInput(in strategies.Input) *DecideRequest {
	return &DecideRequest{DeclaredVoters: uint32(in.Declared), Options: in.Options, Roster: fromRoster(in.Roster)}
}

func fromRoster(roster strategies.Roster) []*Gateway {
	var out []*Gateway
	for _, g := range roster {
		out = append(out, &Gateway{
			Name: g.Name, Region: g.Region, Role: Role(g.Role), Weight: uint32(max(g.Weight, 1)), JoinIndex: g.JoinIndex,
		})
	}
	return out
}

// Input is what a strategy was asked, or what is wrong with it.
func (x *DecideRequest) Input() (strategies.Input, error) {
	in := strategies.Input{Declared: small(x.GetDeclaredVoters()), Options: x.GetOptions(), Roster: roster(x.GetRoster())}
	return in, in.Validate()
}

func roster(gateways []*Gateway) strategies.Roster {
	var out strategies.Roster
	for _, g := range gateways {
		out = append(out, strategies.Gateway{
			Name: g.GetName(), Region: g.GetRegion(), Role: role(g.GetRole()), Weight: small(g.GetWeight()), JoinIndex: g.GetJoinIndex(),
		})
	}
	return out
}

// role is the role, or 0, which no gateway has.
func role(r Role) strategies.Role {
	if r < Role_ROLE_VOTER || r > Role_ROLE_WITNESS {
		return 0
	}
	return strategies.Role(r)
}

// small keeps a number from wrapping into range.
func small(n uint32) int { return int(min(n, math.MaxInt32)) }

// FromRule is a rule as it goes over the wire.
func FromRule(r strategies.Rule) *Rule {
	out := &Rule{Need: uint32(r.Need)}
	for _, m := range r.Members {
		member := &Member{Weight: uint32(m.Weight), What: &Member_Voter{Voter: m.Voter}}
		if m.Rule != nil {
			member.What = &Member_Rule{Rule: FromRule(*m.Rule)}
		}
		out.Members = append(out.Members, member)
	}
	return out
}

// Valid is the rule of an answer, or what is wrong with its structure. It is not proven yet.
func (x *DecideResponse) Valid() (strategies.Rule, error) {
	if x.GetRule() == nil {
		return strategies.Rule{}, errors.New("strategyv1: the answer has no rule")
	}
	left := strategies.MaxMembers
	r, err := x.GetRule().rule(&left)
	if err != nil {
		return strategies.Rule{}, fmt.Errorf("strategyv1: %w", err)
	}
	return r, r.Validate()
}

// rule stops where a rule has more members than are allowed, and so is bounded in depth too: it may be of any size.
func (x *Rule) rule(left *int) (strategies.Rule, error) {
	if *left -= len(x.GetMembers()); *left < 0 {
		return strategies.Rule{}, fmt.Errorf("rule has more than %d members in all", strategies.MaxMembers)
	}
	out := strategies.Rule{Need: small(x.GetNeed())}
	for _, m := range x.GetMembers() {
		part := strategies.Weighted(max(small(m.GetWeight()), 1), m.GetVoter())
		if m.GetRule() != nil {
			inner, err := m.GetRule().rule(left)
			if err != nil {
				return strategies.Rule{}, err
			}
			part.Rule = &inner
		}
		out.Members = append(out.Members, part)
	}
	return out, nil
}
