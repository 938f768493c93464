// Package strategies is the vocabulary of strategies. For split-brain ones: the roster that a strategy is shown, the
// quorum rule that it answers with, and the proof that no two sides of a partition can both satisfy that rule. For
// replication ones: the plan of where contents are kept, and the order of records that a store keeps. It must not know
// plugins, Raft, sockets, files or clocks, and imports only the standard library.
package strategies

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Limits of what is accepted from outside. They keep the proof of a rule exact within bounded work.
const (
	MaxVoters   = 32   // voters of a roster
	MaxGateways = 256  // entries of a roster, voters among them
	MaxWeight   = 1000 // of a voter, and of a member of a rule
	MaxOptions  = 32   // options of a strategy
	MaxOption   = 1024 // bytes of an option's value
	maxName     = 64   // bytes of a name
)

// Role is what a gateway does in the control group.
type Role uint8

const (
	// Voter votes and carries traffic.
	Voter Role = iota + 1
	// Member carries traffic and has no vote.
	Member
	// Witness votes and carries no traffic.
	Witness
)

// String returns the word used in configuration and status.
func (r Role) String() string {
	if r < Voter || r > Witness {
		return "invalid"
	}
	return [...]string{"", "voter", "member", "witness"}[r]
}

// Votes reports whether the role has a vote.
func (r Role) Votes() bool { return r == Voter || r == Witness }

// ParseRole is the inverse of String.
func ParseRole(s string) (Role, error) {
	for _, r := range []Role{Voter, Member, Witness} {
		if s == r.String() {
			return r, nil
		}
	}
	return 0, fmt.Errorf("strategies: role %.64q is not voter, member or witness", s)
}

// Gateway is one entry of the committed roster.
type Gateway struct {
	Name   string // letters, digits, dot, dash, underscore; at most 64 bytes; the first a letter or digit
	Region string // of the same form
	Role   Role
	Weight int // of its vote, 1..MaxWeight; 0 stands for 1
	// JoinIndex is the Raft index of the entry by which it joined, from 1. It is its age: wall clocks are not
	// asked.
	JoinIndex uint64
}

// Votes returns the weight of its vote, 0 for a member.
func (g Gateway) Votes() int {
	if !g.Role.Votes() {
		return 0
	}
	return max(g.Weight, 1)
}

// Roster is the committed list of gateways, in any order.
type Roster []Gateway

// Voters returns the entries that vote, the oldest first. This order is the roster's order of voters.
func (r Roster) Voters() []Gateway {
	var voters []Gateway
	for _, g := range r {
		if g.Role.Votes() {
			voters = append(voters, g)
		}
	}
	slices.SortFunc(voters, func(a, b Gateway) int {
		return cmp.Or(cmp.Compare(a.JoinIndex, b.JoinIndex), cmp.Compare(a.Name, b.Name))
	})
	return voters
}

// Names returns the names of the voters, in the roster's order of voters.
func (r Roster) Names() []string {
	var names []string
	for _, g := range r.Voters() {
		names = append(names, g.Name)
	}
	return names
}

// Validate returns every problem of a roster: sizes, names, weights, roles, and join indexes that are not
// there or there twice. A roster without voters is one.
func (r Roster) Validate() error {
	if len(r) > MaxGateways {
		return fmt.Errorf("strategies: roster has %d gateways, at most %d are allowed", len(r), MaxGateways)
	}
	var problems []error
	names, joined := map[string]bool{}, map[uint64]bool{}
	for i, g := range r {
		if err := g.validate(); err != nil {
			problems = append(problems, fmt.Errorf("gateway %d: %w", i, err))
			continue
		}
		if names[g.Name] {
			problems = append(problems, fmt.Errorf("gateway %s is there twice", g.Name))
		}
		if joined[g.JoinIndex] {
			problems = append(problems, fmt.Errorf("gateway %s has the join index %d of another", g.Name, g.JoinIndex))
		}
		names[g.Name], joined[g.JoinIndex] = true, true
	}
	if n := len(r.Voters()); n == 0 || n > MaxVoters {
		problems = append(problems, fmt.Errorf("%d voters are outside 1..%d", n, MaxVoters))
	}
	if len(problems) > 0 {
		return fmt.Errorf("strategies: roster: %w", errors.Join(problems...))
	}
	return nil
}

func (g Gateway) validate() error {
	switch {
	case !isName(g.Name):
		return fmt.Errorf("name %.64q is not a name", g.Name)
	case !isName(g.Region):
		return fmt.Errorf("region %.64q of %s is not a name", g.Region, g.Name)
	case g.Role.String() == "invalid":
		return fmt.Errorf("role %d of %s is not voter, member or witness", g.Role, g.Name)
	case g.Weight < 0 || g.Weight > MaxWeight:
		return fmt.Errorf("weight %d of %s is outside 1..%d", g.Weight, g.Name, MaxWeight)
	case g.JoinIndex == 0:
		return fmt.Errorf("%s has no join index", g.Name)
	}
	return nil
}

// isName takes what the configuration takes for a name.
func isName(s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	for i := range len(s) {
		c := s[i]
		alnum := c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !alnum && (i == 0 || c != '.' && c != '-' && c != '_') {
			return false
		}
	}
	return true
}
