// Package rulebook lets the core of authority read the quorum rules of strategies. It must not know which strategy
// a rule came from, nor logs, files, sockets or clocks: it answers from its arguments alone, as what it answers is
// part of the replicated state.
package rulebook

import (
	"errors"
	"fmt"

	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/strategies"
)

// Rulebook implements authority.Rules. A source is what strategies.Rule.Encode returns.
type Rulebook struct{}

var _ authority.Rules = Rulebook{}

// Rule is one rule of the log, proven and ready for evaluation. It is immutable.
type Rule struct {
	rule   strategies.Rule
	voters []string
	fast   *strategies.Compiled
}

// Parse reads a rule and proves that it intersects itself. The error wraps authority.ErrNewer for an encoding of a
// newer release, and is a *strategies.SplitError for a rule that two sides could satisfy.
func (Rulebook) Parse(source []byte) (authority.Rule, error) {
	r, err := strategies.Decode(source)
	if errors.Is(err, strategies.ErrNewer) {
		return nil, fmt.Errorf("rulebook: %w: %w", authority.ErrNewer, err)
	}
	if err != nil {
		return nil, fmt.Errorf("rulebook: %w", err)
	}
	if err := strategies.Prove(r); err != nil {
		return nil, fmt.Errorf("rulebook: %w", err)
	}
	voters := r.Voters()
	fast, err := strategies.Compile(voters, r)
	if err != nil {
		return nil, fmt.Errorf("rulebook: %w", err)
	}
	return &Rule{rule: r, voters: voters, fast: fast}, nil
}

// Satisfied reports whether the voters for which has is true permit. It asks once for each voter that the rule names,
// and allocates nothing.
func (r *Rule) Satisfied(has func(voter string) bool) bool {
	var s strategies.Set
	for i, name := range r.voters {
		if has(name) {
			s |= 1 << i
		}
	}
	return r.fast.Satisfied(s)
}

// String is the rule as people write it.
func (r *Rule) String() string { return r.rule.String() }

// Definition is the rule as strategies.Decode reads it.
func (r *Rule) Definition() []byte { return r.rule.Encode() }

// Admit refuses a rule that names others than the voters, and one over two that needs both unless more are to come.
// The error is a *strategies.Strangers, or wraps strategies.ErrBothNeeded.
func (Rulebook) Admit(rule authority.Rule, voters []authority.Member, declared int) error {
	r, ok := rule.(*Rule)
	if !ok {
		return fmt.Errorf("rulebook: a rule of type %T was not read by it", rule)
	}
	if err := strategies.Fits(strategies.Input{Roster: roster(voters), Declared: declared}, r.rule); err != nil {
		return fmt.Errorf("rulebook: %w", err)
	}
	return nil
}

// roster is what a strategy would see of these voters, as far as it matters for admission.
func roster(voters []authority.Member) strategies.Roster {
	all := make(strategies.Roster, len(voters))
	for i, v := range voters {
		all[i] = strategies.Gateway{Name: v.Name, Region: v.Region, Role: strategies.Voter, JoinIndex: uint64(v.Joined)}
		if v.Witness {
			all[i].Role = strategies.Witness
		}
	}
	return all
}
