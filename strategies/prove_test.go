package strategies_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/strategies"
)

func parse(t testing.TB, text string) strategies.Rule {
	t.Helper()
	r, err := strategies.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestProve(t *testing.T) {
	for text, intersects := range map[string]bool{
		"a":                                 true,
		"2 of (a, b)":                       true,
		"1 of (a, b)":                       false,
		"2 of (a, b, c)":                    true,
		"2 of (a, b, c, d)":                 false,
		"3 of (a, b, c, d)":                 true,
		"3 of (a*3, b*2, c)":                false, // a alone, b and c
		"4 of (a*3, b*2, c)":                true,
		"3 of (a*2, b*2, c*2)":              true, // only even sums are reached
		"6 of (a*3, b*3, c*3, d*2, e)":      false,
		"2 of (2 of (a, b, c), d, e)":       true,
		"2 of (1 of (a, b), c)":             true,
		"2 of (1 of (a, b), 1 of (c, d))":   false,
		"2 of (1 of (a, b), c, d)":          false, // a with c, b with d
		"2 of (a, 1 of (b, c))":             true,
		"2 of (1 of (a, b), 1 of (b, c))":   false, // b alone, a with c
		"2 of (2 of (a, b, c), 1 of (a))":   true,
		"1 of (2 of (a, b), 2 of (a, c))":   true,
		"1 of (2 of (a, b), 2 of (c, d))":   false,
		"2 of (1 of (a, b), 1 of (a, b))":   false,
		"3 of (2 of (a, b), 1 of (a, c)*2)": true,
	} {
		r := parse(t, text)
		err := strategies.Prove(r)
		if (err == nil) != intersects {
			t.Errorf("%s: %v", text, err)
		}
		if err != nil {
			checkSides(t, r, err)
		}
	}
}

// checkSides holds a counterexample to what it says.
func checkSides(t *testing.T, r strategies.Rule, err error) {
	t.Helper()
	var split *strategies.SplitError
	if !errors.As(err, &split) {
		t.Errorf("%v: %v is no split", r, err)
		return
	}
	for _, side := range [][]string{split.A, split.B} {
		if !satisfied(r, func(v string) bool { return slices.Contains(side, v) }) {
			t.Errorf("%v: %v does not satisfy it", r, side)
		}
	}
	for _, v := range split.A {
		if slices.Contains(split.B, v) {
			t.Errorf("%v: %s is on both sides %v", r, v, split)
		}
	}
}

// bruteForce tries every way to deal the voters to two sides.
func bruteForce(r strategies.Rule, voters []string) (intersects bool) {
	all := strategies.Set(1)<<len(voters) - 1
	for s := range all + 1 {
		if satisfiedBy(r, voters, s) && satisfiedBy(r, voters, all&^s) {
			return false
		}
	}
	return true
}

func TestProveAgainstBruteForce(t *testing.T) {
	const seed, n = 5, 20000
	rng := rand.New(rand.NewPCG(seed, 0))
	split := 0
	for i := range n {
		voters := names(1 + rng.IntN(8))
		r := randomRule(rng, voters, 3, i%2 == 0)
		want := bruteForce(r, voters)
		err := strategies.Prove(r)
		if (err == nil) != want {
			t.Fatalf("seed %d, rule %d: %v: %v, brute force says intersecting=%t", seed, i, r, err, want)
		}
		if err != nil {
			split++
			checkSides(t, r, err)
		}
	}
	t.Logf("seed %d: %d rules over up to 8 voters, %d of them can be split", seed, n, split)
	if split < n/10 || split > n*9/10 {
		t.Errorf("%d of %d can be split: the sample shows little", split, n)
	}
}

// FuzzProve: the prover says what trying every split says.
func FuzzProve(f *testing.F) {
	for _, text := range []string{"2 of (a, b, c)", "2 of (1 of (a, b), 1 of (b, c))", "3 of (a*2, b*2, 2 of (c, d, e))"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := strategies.Parse(text)
		if err != nil {
			return
		}
		voters := r.Voters()
		if len(voters) > 10 {
			return
		}
		err = strategies.Prove(r)
		if want := bruteForce(r, voters); (err == nil) != want {
			t.Fatalf("%v: %v, brute force says intersecting=%t", r, err, want)
		}
		if err != nil {
			checkSides(t, r, err)
		}
	})
}

// large returns 32 voters with large weights that are hard to deal out.
func large(need int) strategies.Rule {
	rng := rand.New(rand.NewPCG(7, 0))
	var members []strategies.Part
	total := 0
	for _, name := range names(strategies.MaxVoters) {
		w := strategies.MaxWeight - 2*rng.IntN(20)
		members = append(members, strategies.Weighted(w, name))
		total += w
	}
	if need == 0 {
		need = total/2 + 1
	}
	return strategies.AtLeast(need, members...)
}

func TestProveAtTheLimits(t *testing.T) {
	if err := strategies.Prove(large(0)); err != nil {
		t.Errorf("a majority of 32: %v", err)
	}
	r := large(0)
	r.Need -= 2
	if err := strategies.Prove(r); err == nil {
		t.Error("half of 32 counts as intersecting")
	} else {
		checkSides(t, r, err)
	}
	var members []strategies.Part
	for _, name := range names(strategies.MaxVoters + 1) {
		members = append(members, strategies.One(name))
	}
	if err := strategies.Prove(strategies.MajorityOf(members...)); !errors.Is(err, strategies.ErrTooHard) {
		t.Errorf("33 voters: %v", err)
	}
}

// tangled is 1 of two majorities that share 30 voters: neither is always needed, and it takes a search.
func tangled(t testing.TB) strategies.Rule {
	all := names(30)
	text := fmt.Sprintf("1 of (17 of (%s, x), 17 of (%s, y))", strings.Join(all, ", "), strings.Join(all, ", "))
	return parse(t, text)
}

func TestProveRefusesTooMuchWork(t *testing.T) {
	err := strategies.Prove(tangled(t))
	if !errors.Is(err, strategies.ErrTooHard) || !strings.Contains(err.Error(), "name each once") {
		t.Errorf("%v", err)
	}
}

func BenchmarkProve(b *testing.B) {
	for name, r := range map[string]strategies.Rule{
		"flat5":            strategies.MajorityOf(parts(5)...),
		"flat32-weights":   large(0),
		"tangled-refused":  tangled(b),
		"region3x3":        parse(b, "2 of (2 of (a, b, c), 2 of (d, e, f), 2 of (g, h, i))"),
		"repeated9-search": parse(b, "1 of (2 of (2 of (a, b, c), 2 of (d, e, f), 2 of (g, h, i)), 7 of (a, b, c, d, e, f, g, h, i))"),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				_ = strategies.Prove(r)
			}
		})
	}
}

func parts(n int) []strategies.Part {
	out := make([]strategies.Part, n)
	for i, name := range names(n) {
		out[i] = strategies.One(name)
	}
	return out
}
