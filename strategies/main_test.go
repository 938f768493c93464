package strategies_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"go.uber.org/goleak"

	"github.com/quorate/quorate/strategies"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// names returns v0, v1, ...
func names(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("v%d", i)
	}
	return out
}

// randomRule returns a valid rule over some of the voters; with once every voter stands in one place at most.
func randomRule(r *rand.Rand, voters []string, depth int, once bool) strategies.Rule {
	pool := append([]string(nil), voters...)
	r.Shuffle(len(pool), func(i, j int) { pool[i], pool[j] = pool[j], pool[i] })
	var members []strategies.Part
	total := 0
	for len(pool) > 0 && len(members) < 5 {
		w := 1 + r.IntN(4)
		if depth > 0 && r.IntN(3) == 0 {
			n := 1 + r.IntN(len(pool))
			inner := randomRule(r, pool[:n], depth-1, once)
			members = append(members, strategies.Part{Weight: w, Rule: &inner})
			if once {
				pool = pool[n:]
			}
		} else {
			members = append(members, strategies.Weighted(w, pool[0]))
			pool = pool[1:]
		}
		total += w
		if r.IntN(6) == 0 {
			break
		}
	}
	need := total/2 + 1
	if r.IntN(2) == 0 {
		need = 1 + r.IntN(total)
	}
	return strategies.AtLeast(need, members...)
}

// satisfied is a second evaluation, written to be read.
func satisfied(r strategies.Rule, in func(voter string) bool) bool {
	sum := 0
	for _, m := range r.Members {
		if m.Rule != nil && satisfied(*m.Rule, in) || m.Rule == nil && in(m.Voter) {
			sum += m.Weight
		}
	}
	return sum >= r.Need
}

func satisfiedBy(r strategies.Rule, voters []string, s strategies.Set) bool {
	return satisfied(r, func(v string) bool { return s&strategies.MakeSet(voters, v) != 0 })
}
