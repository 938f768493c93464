package strategies

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// SplitError is the error of a rule that does not intersect itself: two sides of a partition, A and B, could
// both satisfy it and both write.
type SplitError struct {
	Rule Rule
	A, B []string // disjoint, each satisfying the rule; sorted as in Rule.Voters
}

// Error names both sides.
func (e *SplitError) Error() string {
	return fmt.Sprintf("strategies: two sides could both write under %v: {%s} and {%s}; raise the need until any two sets that satisfy it share a voter",
		e.Rule, strings.Join(e.A, ", "), strings.Join(e.B, ", "))
}

// ErrTooHard is wrapped by Prove's error for a rule whose proof takes too much work. Such a rule names voters
// in several places; one that names each once is always decided.
var ErrTooHard = errors.New("strategies: too hard to prove")

// maxSteps bounds the search for rules that name voters in several places; up to 17 voters always are decided
// within it.
const maxSteps = 1 << 17

// Prove returns nil if no two disjoint sets of voters satisfy the valid rule, a *SplitError with two that do,
// or an error that wraps ErrTooHard. It is exact; its work is bounded (some tens of milliseconds).
//
// Its answer depends on the rule alone, so that every gateway that finds the rule in a log decides alike. For that the
// bounds here and in Validate must not change while gateways of two releases read one log.
//
// A rule that names every voter once is decided by recursion. As more voters never hurt, disjoint sets A and B
// exist if and only if the voters can be dealt to two sides that both satisfy the rule. Seen from a threshold,
// a member that can be split so counts for both sides, and every other one for one side of choice, so what
// remains is whether their weights can be dealt out. Else voters are dealt one by one, cutting off where a side
// can no longer win; and a member without which the rule cannot be satisfied hands down its own proof.
func Prove(r Rule) error {
	r = r.Canonical()
	voters := r.Voters()
	if len(voters) > MaxVoters {
		return fmt.Errorf("%w: %d voters, at most %d are allowed", ErrTooHard, len(voters), MaxVoters)
	}
	if !r.repeats() {
		if a, b, ok := r.split(); ok {
			return splitError(r, voters, a, b)
		}
		return nil
	}
	if r.proven() {
		return nil
	}
	return prove(r, voters)
}

func splitError(r Rule, voters, a, b []string) error {
	return &SplitError{Rule: r, A: MakeSet(voters, a...).Names(voters), B: MakeSet(voters, b...).Names(voters)}
}

// proven reports whether it is known without a search that the rule intersects itself. A member that is always
// needed is enough: two sets that satisfy the rule satisfy it too.
func (r Rule) proven() bool {
	if !r.repeats() {
		_, _, split := r.split()
		return !split
	}
	return slices.ContainsFunc(r.Members, func(m Part) bool {
		return r.total()-m.Weight < r.Need && (m.Rule == nil || m.Rule.proven())
	})
}

// split returns two disjoint sets that satisfy the rule, if there are any. No voter may occur twice.
func (r Rule) split() (a, b []string, ok bool) {
	both := 0       // weight that counts for both sides
	var free []Part // members that count for one side of choice
	for _, m := range r.Members {
		if m.Rule != nil {
			if x, y, ok := m.Rule.split(); ok {
				both += m.Weight
				a, b = append(a, x...), append(b, y...)
				continue
			}
		}
		free = append(free, m)
	}
	left, ok := deal(free, r.Need-both)
	if !ok {
		return nil, nil, false
	}
	for i, m := range free {
		if left[i] {
			a = append(a, m.voters()...)
		} else {
			b = append(b, m.voters()...)
		}
	}
	return a, b, true
}

// voters returns every voter of the member: all of them always satisfy it.
func (m Part) voters() []string {
	if m.Rule != nil {
		return m.Rule.Voters()
	}
	return []string{m.Voter}
}

// deal marks members whose weights come to need at least, those of the others too. It fills a table of all
// sums that can be reached, which is exact, and small as weights are bounded.
func deal(members []Part, need int) (left []bool, ok bool) {
	total := 0
	for _, m := range members {
		total += m.Weight
	}
	left = make([]bool, len(members))
	if need <= 0 {
		return left, true
	}
	if 2*need > total {
		return nil, false
	}
	sum, from := reach(members, need, total-need)
	if sum < 0 {
		return nil, false
	}
	for sum > 0 {
		i := from[sum] - 1
		left[i] = true
		sum -= members[i].Weight
	}
	return left, true
}

// reach returns a sum within low..high of some members' weights, or -1; from[s]-1 is the member that was
// the last to come to s, by which it is taken apart again.
func reach(members []Part, low, high int) (sum int, from []int16) {
	from = make([]int16, high+1)
	top := 0 // no more than this is reached so far
	for i, m := range members {
		top = min(top+m.Weight, high)
		for s := top; s >= m.Weight; s-- {
			if from[s] == 0 && (s == m.Weight || from[s-m.Weight] != 0) {
				from[s] = int16(i + 1)
				if s >= low {
					return s, from
				}
			}
		}
	}
	return -1, from
}

// search deals voters to two sides, one by one.
type search struct {
	rule  *Compiled
	order []int // voters, those first that occur most
	steps int
	a, b  Set
}

// prove searches for two sides. A side that is satisfied leaves the rest to the other.
func prove(r Rule, voters []string) error {
	c, err := Compile(voters, r)
	if err != nil {
		return err
	}
	s := search{rule: c, order: order(r, voters)}
	found := s.deal(0, 0, 0)
	switch {
	case found:
		return splitError(r, voters, s.a.Names(voters), s.b.Names(voters))
	case s.steps > maxSteps:
		return fmt.Errorf("%w: %v names voters in several places and takes more than %d steps; name each once", ErrTooHard, r, maxSteps)
	}
	return nil
}

// deal tries both sides for the i-th voter of the order and reports whether both can win.
func (s *search) deal(i int, a, b Set) bool {
	if s.steps++; s.steps > maxSteps {
		return false
	}
	all := s.rule.All()
	if !s.rule.Satisfied(all&^b) || !s.rule.Satisfied(all&^a) {
		return false
	}
	if s.rule.Satisfied(a) { // and the rest, for b, was just tried
		s.a, s.b = a, all&^a
		return true
	}
	if i == len(s.order) {
		return false
	}
	v := Set(1) << s.order[i]
	if s.deal(i+1, a|v, b) {
		return true
	}
	return a|b != 0 && s.deal(i+1, a, b|v) // the first voter's side is the first: the other way is the mirror image
}

// order returns the voters' indexes, those first that occur in most places: they decide most.
func order(r Rule, voters []string) []int {
	count := map[string]int{}
	for _, name := range r.occurrences(nil) {
		count[name]++
	}
	order := make([]int, len(voters))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(x, y int) int { return count[voters[y]] - count[voters[x]] })
	return order
}
