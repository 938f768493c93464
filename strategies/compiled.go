package strategies

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
)

// Set is a set of voters: bit i is the i-th voter of the list that the rule was compiled for.
type Set uint64

// Never is the time of a voter that has not acknowledged anything; it is before every other time.
const Never = math.MinInt64

// MaxCompiled is how many voters rules can be compiled for: joint rules may have those of two rosters.
const MaxCompiled = 64

// Compiled is one rule, or several that must all be satisfied (joint rules), made for evaluation many times a
// second. It is immutable, may be used by many goroutines at once, and its methods allocate nothing.
type Compiled struct {
	trees []tree
	all   Set
}

// tree is one rule.
type tree struct {
	nodes   []threshold // inner ones before those that hold them; the last is the rule itself
	members []weighted
	voters  int
}

// threshold is one node of a tree; its members are members[first:end].
type threshold struct{ need, first, end int32 }

// weighted is one member: the value of a voter (below voters) or of an earlier node (voters + its index).
type weighted struct {
	weight int32
	value  int32
}

// Compile makes valid rules ready for sets and times of these voters, at most MaxCompiled. With two rules both
// must be satisfied, as while one is being replaced by the other; no rule at all is always satisfied. It is an
// error if a rule names a voter that is not among them (Strangers).
func Compile(voters []string, rules ...Rule) (*Compiled, error) {
	if len(voters) > MaxCompiled {
		return nil, fmt.Errorf("strategies: compile: %d voters, at most %d are allowed", len(voters), MaxCompiled)
	}
	c := &Compiled{all: Set(math.MaxUint64) >> (MaxCompiled - len(voters))}
	for _, r := range rules {
		if err := r.Validate(); err != nil {
			return nil, err
		}
		t := tree{voters: len(voters)}
		if _, err := t.add(r, voters); err != nil {
			return nil, fmt.Errorf("strategies: compile: %w", err)
		}
		c.trees = append(c.trees, t)
	}
	return c, nil
}

// add appends a rule after those inside it, and returns where its value will be.
func (t *tree) add(r Rule, voters []string) (int32, error) {
	members := make([]weighted, len(r.Members))
	for i, m := range r.Members {
		value, err := int32(slices.Index(voters, m.Voter)), error(nil)
		if m.Rule != nil {
			value, err = t.add(*m.Rule, voters)
		} else if value < 0 {
			err = &Strangers{Names: []string{m.Voter}}
		}
		if err != nil {
			return 0, err
		}
		members[i] = weighted{weight: int32(m.Weight), value: value}
	}
	first := int32(len(t.members))
	t.members = append(t.members, members...)
	t.nodes = append(t.nodes, threshold{need: int32(r.Need), first: first, end: int32(len(t.members))})
	return int32(t.voters + len(t.nodes) - 1), nil
}

// All is the set of all voters that the rules were compiled for.
func (c *Compiled) All() Set { return c.all }

// Satisfied reports whether the set satisfies every rule.
func (c *Compiled) Satisfied(s Set) bool {
	for i := range c.trees {
		if !c.trees[i].satisfied(s) {
			return false
		}
	}
	return true
}

func (t *tree) satisfied(s Set) bool {
	var inner Set // by node; one that is held by another is among the first MaxMembers
	ok := false
	for i, n := range t.nodes {
		sum := int32(0)
		for _, m := range t.members[n.first:n.end] {
			if v := int(m.value); v < t.voters {
				sum += m.weight * int32(s>>v&1)
			} else {
				sum += m.weight * int32(inner>>(v-t.voters)&1)
			}
		}
		if ok = sum >= n.need; ok {
			inner |= 1 << i // shifted out for the 65th, which is the rule itself
		}
	}
	return ok
}

// Verdict is what is known of rules while some voters are undecided.
type Verdict int8

const (
	// Lost: no answer of those undecided can satisfy the rules any more.
	Lost Verdict = iota - 1
	// Open: it depends on those undecided.
	Open
	// Held: the rules are satisfied, whatever those undecided say.
	Held
)

// Judge evaluates the rules when the voters of yes agree and those of no do not; who is in both does not.
func (c *Compiled) Judge(yes, no Set) Verdict {
	switch {
	case c.Satisfied(yes &^ no):
		return Held
	case !c.Satisfied(c.all &^ no):
		return Lost
	}
	return Open
}

// Deadline returns the largest t for which the voters with times[i] >= t satisfy every rule: the maximum over
// satisfying sets of the minimum time in the set. It is Never if that takes a voter whose time is Never, and
// the end of time without rules. times has one entry per voter that was compiled for; where it is shorter the
// rest are Never.
//
// A threshold's time is that of the member by which it is reached when members come latest first. That is exact
// for nested rules, and for voters that stand in several places: whether members are satisfied at t depends on
// t alone.
func (c *Compiled) Deadline(times []int64) int64 {
	t := int64(math.MaxInt64)
	for i := range c.trees {
		t = min(t, c.trees[i].deadline(times))
	}
	return t
}

func (t *tree) deadline(times []int64) int64 {
	var inner [MaxMembers + 1]int64
	for i, n := range t.nodes {
		inner[i] = t.reached(n, times, &inner)
	}
	return inner[len(t.nodes)-1]
}

// timed is a member with its time.
type timed struct {
	at     int64
	weight int32
}

// reached sorts the members of one threshold, latest first, and counts their weights up to what is needed.
func (t *tree) reached(n threshold, times []int64, inner *[MaxMembers + 1]int64) int64 {
	var sorted [MaxMembers]timed
	for k, m := range t.members[n.first:n.end] {
		x := timed{at: Never, weight: m.weight}
		if v := int(m.value); v >= t.voters {
			x.at = inner[v-t.voters]
		} else if v < len(times) {
			x.at = times[v]
		}
		for ; k > 0 && sorted[k-1].at < x.at; k-- {
			sorted[k] = sorted[k-1]
		}
		sorted[k] = x
	}
	sum := int32(0)
	for k := range n.end - n.first {
		if sum += sorted[k].weight; sum >= n.need {
			return sorted[k].at
		}
	}
	return Never
}

// Len returns how many voters are in the set.
func (s Set) Len() int { return bits.OnesCount64(uint64(s)) }

// MakeSet returns the set of the named ones among the voters; others are left out.
func MakeSet(voters []string, named ...string) Set {
	var s Set
	for _, name := range named {
		if i := slices.Index(voters, name); i >= 0 && i < MaxCompiled {
			s |= 1 << i
		}
	}
	return s
}

// Names returns the voters of the set, in the order of the list.
func (s Set) Names(voters []string) []string {
	var names []string
	for i, name := range voters {
		if i < MaxCompiled && s>>i&1 == 1 {
			names = append(names, name)
		}
	}
	return names
}
