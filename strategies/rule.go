package strategies

import (
	"errors"
	"fmt"
	"slices"
)

// Limits of a rule. With them the proof of self-intersection and the evaluation are bounded.
const (
	MaxMembers = 64                    // of all thresholds of a rule together
	MaxDepth   = 8                     // of nesting
	MaxTotal   = MaxVoters * MaxWeight // of the weights of one threshold
)

// Rule is a quorum rule: a threshold over weighted members, each a voter or again a rule. A set of voters
// satisfies it when the weights of the members that it satisfies come to Need. More voters never make it less
// satisfied. The zero Rule is not valid.
type Rule struct {
	Need    int
	Members []Part
}

// Part is one member of a rule: exactly one of Voter and Rule is set.
type Part struct {
	Weight int // from 1
	Voter  string
	Rule   *Rule
}

// Single is satisfied by the one voter.
func Single(voter string) Rule { return AtLeast(1, One(voter)) }

// One is a voter of weight 1.
func One(voter string) Part { return Weighted(1, voter) }

// Weighted is a voter of that weight.
func Weighted(weight int, voter string) Part { return Part{Weight: weight, Voter: voter} }

// Nest is a rule as a member of weight 1.
func Nest(r Rule) Part { return Part{Weight: 1, Rule: &r} }

// AtLeast is satisfied when the weights of satisfied members come to need.
func AtLeast(need int, members ...Part) Rule { return Rule{Need: need, Members: members} }

// MajorityOf needs more than half of the members' weights.
func MajorityOf(members ...Part) Rule {
	total := 0
	for _, m := range members {
		total += m.Weight
	}
	return AtLeast(total/2+1, members...)
}

// Validate returns every structural problem of a rule. A valid rule is satisfied by the set of all its voters
// and not by the empty set. Whether it intersects itself is for Prove.
func (r Rule) Validate() error {
	var problems []error
	left := MaxMembers
	r.validate(&problems, "rule", MaxDepth, &left)
	if len(problems) > 0 {
		return fmt.Errorf("strategies: %w", errors.Join(problems...))
	}
	return nil
}

// maxProblems bounds what one bad rule says about itself.
const maxProblems = 8

func (r Rule) validate(problems *[]error, at string, depth int, left *int) {
	add := func(format string, args ...any) {
		if len(*problems) < maxProblems {
			*problems = append(*problems, fmt.Errorf(at+": "+format, args...))
		}
	}
	if depth == 0 {
		add("is nested more than %d deep", MaxDepth)
		return
	}
	if *left -= len(r.Members); *left < 0 {
		add("has more than %d members in all", MaxMembers)
		return
	}
	total := 0
	for i, m := range r.Members {
		if m.Weight < 1 || m.Weight > MaxTotal-total {
			add("weight %d of member %d is below 1 or makes more than %d in all", m.Weight, i, MaxTotal)
			return
		}
		total += m.Weight
		switch {
		case m.Rule != nil && m.Voter != "", m.Rule == nil && !isName(m.Voter):
			add("member %d (%.64q) is neither a voter's name nor a rule", i, m.Voter)
		case m.Rule != nil:
			m.Rule.validate(problems, fmt.Sprintf("%s.%d", at, i), depth-1, left)
		}
	}
	if r.Need < 1 || r.Need > total {
		add("needs %d of the weight %d, which is outside 1..%d", r.Need, total, total)
	}
}

// Satisfied reports whether the voters for which has is true satisfy the valid rule. Compile makes it fast.
func (r Rule) Satisfied(has func(voter string) bool) bool {
	sum := 0
	for _, m := range r.Members {
		if m.Rule != nil && m.Rule.Satisfied(has) || m.Rule == nil && has(m.Voter) {
			sum += m.Weight
		}
	}
	return sum >= r.Need
}

// Voters returns the names that occur in the rule, sorted, each once.
func (r Rule) Voters() []string {
	names := r.occurrences(nil)
	slices.Sort(names)
	return slices.Compact(names)
}

// occurrences appends every name as often as it occurs.
func (r Rule) occurrences(names []string) []string {
	for _, m := range r.Members {
		if m.Rule != nil {
			names = m.Rule.occurrences(names)
		} else {
			names = append(names, m.Voter)
		}
	}
	return names
}

// repeats reports whether a voter stands in two places.
func (r Rule) repeats() bool { return len(r.occurrences(nil)) != len(r.Voters()) }

// total is the weight of all members.
func (r Rule) total() int {
	sum := 0
	for _, m := range r.Members {
		sum += m.Weight
	}
	return sum
}
