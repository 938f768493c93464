package strategies

import (
	"fmt"
	"slices"
)

// Left is which writes a loss leaves to those that remain.
type Left uint8

const (
	// NoWrites: the rule cannot be satisfied.
	NoWrites Left = iota
	// OwnedWrites: the rule can be satisfied but there is no Raft majority, so gateways go on with the sessions
	// they own; nothing is claimed, fenced, changed or durably recorded.
	OwnedWrites
	// AllWrites: the rule can be satisfied, with a Raft majority.
	AllWrites
)

// String says it for operators.
func (l Left) String() string {
	switch l {
	case AllWrites:
		return "all writes"
	case OwnedWrites:
		return "writes of sessions whose gateway remains; no claims, no changes of settings"
	}
	return "no writes"
}

// Loss is one thing lost and what it leaves.
type Loss struct {
	What string // "voter" or "region"
	Name string
	Left Left
}

// String is a line for operators.
func (l Loss) String() string { return fmt.Sprintf("without %s %s: %v", l.What, l.Name, l.Left) }

// Losses returns what the loss of each single voter, and of each single region with voters, leaves under an
// admitted rule: voters first, the oldest first, then regions by name.
func Losses(roster Roster, r Rule) ([]Loss, error) {
	voters := roster.Voters()
	names := roster.Names()
	c, err := Compile(names, r)
	if err != nil {
		return nil, err
	}
	var losses []Loss
	regions := map[string]Set{}
	for i, v := range voters {
		regions[v.Region] |= 1 << i
		losses = append(losses, Loss{What: "voter", Name: v.Name, Left: c.without(1 << i)})
	}
	sorted := make([]string, 0, len(regions))
	for name := range regions {
		sorted = append(sorted, name)
	}
	slices.Sort(sorted)
	for _, name := range sorted {
		losses = append(losses, Loss{What: "region", Name: name, Left: c.without(regions[name])})
	}
	return losses, nil
}

// without judges those that remain. Raft counts voters, not weights.
func (c *Compiled) without(lost Set) Left {
	left := c.all &^ lost
	switch {
	case !c.Satisfied(left):
		return NoWrites
	case 2*left.Len() <= c.all.Len():
		return OwnedWrites
	}
	return AllWrites
}
