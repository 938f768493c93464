package strategies_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/quorate/quorate/strategies"
)

func compile(t testing.TB, voters []string, rules ...strategies.Rule) *strategies.Compiled {
	t.Helper()
	c, err := strategies.Compile(voters, rules...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDeadline(t *testing.T) {
	const n = strategies.Never
	voters := []string{"a", "b", "c", "d", "e"}
	for _, tc := range []struct {
		rule  string
		times []int64
		want  int64
	}{
		{"b", []int64{9, 5, 9, 9, 9}, 5},
		{"b", []int64{9, n, 9, 9, 9}, n},
		{"2 of (a, b, c)", []int64{3, 1, 2}, 2},
		{"2 of (a, b, c)", []int64{3, n, n}, n},
		{"3 of (a, b, c, d, e)", []int64{5, 4, 3, 2, 1}, 3},
		{"3 of (a, b, c, d, e)", []int64{-5, -4, -3, -2, -1}, -3},
		{"3 of (a*3, b, c, d)", []int64{1, 4, 3, 2, 0}, 2},
		{"3 of (a*3, b, c, d)", []int64{9, 4, 3, n, 0}, 9},
		{"2 of (2 of (a, b, c), d, e)", []int64{7, 6, 1, 5, n}, 5},
		{"2 of (1 of (a, b), 1 of (b, c))", []int64{1, 3, 2}, 3},
		{"2 of (a, b)", []int64{3}, n}, // b's time is missing
	} {
		if got := compile(t, voters, parse(t, tc.rule)).Deadline(tc.times); got != tc.want {
			t.Errorf("%s of %v: %d, want %d", tc.rule, tc.times, got, tc.want)
		}
	}
}

func TestNoRuleAlwaysHolds(t *testing.T) {
	c := compile(t, []string{"a"})
	if !c.Satisfied(0) || c.Deadline(nil) != math.MaxInt64 {
		t.Error("no rule at all is not satisfied")
	}
}

// TestDeadlineIsTheBestSet compares with the definition: the maximum over satisfying sets of the minimum.
func TestDeadlineIsTheBestSet(t *testing.T) {
	const seed, n = 3, 4000
	t.Logf("seed %d, %d pairs of rules over up to 7 voters", seed, n)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range n {
		voters := names(1 + rng.IntN(7))
		rules := []strategies.Rule{randomRule(rng, voters, 3, false), randomRule(rng, voters, 2, true)}[:1+rng.IntN(2)]
		times := make([]int64, len(voters))
		for i := range times {
			if times[i] = int64(rng.IntN(6)); times[i] == 0 {
				times[i] = strategies.Never
			}
		}
		want := int64(strategies.Never)
		for s := range strategies.Set(1) << len(voters) {
			if ok := satisfiedBy(rules[0], voters, s) && satisfiedBy(rules[len(rules)-1], voters, s); ok {
				want = max(want, earliest(times, s))
			}
		}
		if got := compile(t, voters, rules...).Deadline(times); got != want {
			t.Fatalf("%v of %v: %d, want %d", rules, times, got, want)
		}
	}
}

func earliest(times []int64, s strategies.Set) int64 {
	t := int64(math.MaxInt64)
	for i, at := range times {
		if s>>i&1 == 1 {
			t = min(t, at)
		}
	}
	return t
}

func TestJudge(t *testing.T) {
	voters := []string{"a", "b", "c"}
	c := compile(t, voters, parse(t, "2 of (a, b, c)"))
	set := func(s ...string) strategies.Set { return strategies.MakeSet(voters, s...) }
	for _, tc := range []struct {
		yes, no strategies.Set
		want    strategies.Verdict
	}{
		{0, 0, strategies.Open},
		{set("a"), 0, strategies.Open},
		{set("a", "c"), 0, strategies.Held},
		{set("a"), set("b"), strategies.Open},
		{set("a"), set("b", "c"), strategies.Lost},
		{set("a", "b"), set("b"), strategies.Open},
		{set("a", "b"), set("a", "b"), strategies.Lost},
	} {
		if got := c.Judge(tc.yes, tc.no); got != tc.want {
			t.Errorf("yes %v, no %v: %v, want %v", tc.yes.Names(voters), tc.no.Names(voters), got, tc.want)
		}
	}
}

func TestJointRulesNeedBoth(t *testing.T) {
	voters := []string{"a", "b", "c"}
	c := compile(t, voters, strategies.Single("a"), strategies.Single("b"))
	for s := range strategies.Set(8) {
		if want := s&3 == 3; c.Satisfied(s) != want {
			t.Errorf("%v: %t", s.Names(voters), !want)
		}
	}
	if got := c.Deadline([]int64{5, 2, 9}); got != 2 {
		t.Errorf("deadline %d, want that of the older one, 2", got)
	}
}

func TestCompileRefuses(t *testing.T) {
	var strangers *strategies.Strangers
	if _, err := strategies.Compile([]string{"a"}, parse(t, "1 of (a, 1 of (x, y))")); !errors.As(err, &strangers) || strangers.Names[0] != "x" {
		t.Errorf("a stranger: %v", err)
	}
	if _, err := strategies.Compile(names(65), strategies.Single("v1")); err == nil {
		t.Error("65 voters compile")
	}
	if _, err := strategies.Compile(names(64), strategies.Rule{}); err == nil {
		t.Error("the zero rule compiles")
	}
	c := compile(t, names(64), strategies.Single("v63"))
	if !c.Satisfied(1<<63) || c.Satisfied(1<<62) {
		t.Error("the 64th voter does not count")
	}
}

// TestMostNodes: a rule of 64 members, all of them nested, has 65 nodes.
func TestMostNodes(t *testing.T) {
	voters := names(32)
	var members []strategies.Part
	for _, v := range voters {
		members = append(members, strategies.Nest(strategies.Single(v)))
	}
	r := strategies.AtLeast(32, members...)
	c := compile(t, voters, r)
	times := make([]int64, 32)
	for i := range times {
		times[i] = int64(i + 1)
	}
	if got := c.Deadline(times); got != 1 || !c.Satisfied(c.All()) || c.Satisfied(c.All()&^1) {
		t.Errorf("deadline %d", got)
	}
}

func benchRules(b *testing.B) map[string]*strategies.Compiled {
	region := parse(b, "2 of (2 of (v0, v1, v2), 2 of (v3, v4, v5), 2 of (v6, v7, v8))")
	return map[string]*strategies.Compiled{
		"single":     compile(b, names(3), strategies.Single("v1")),
		"flat3":      compile(b, names(3), strategies.MajorityOf(parts(3)...)),
		"flat5":      compile(b, names(5), strategies.MajorityOf(parts(5)...)),
		"region3x3":  compile(b, names(9), region),
		"joint5to9":  compile(b, names(9), strategies.MajorityOf(parts(5)...), region),
		"weights32":  compile(b, names(32), large(0)),
		"two of 64s": compile(b, names(64), large(0), large(0)),
	}
}

func BenchmarkDeadline(b *testing.B) {
	times := make([]int64, 64)
	for i := range times {
		times[i] = int64(i * 7919 % 64)
	}
	for name, c := range benchRules(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.Deadline(times)
			}
		})
	}
}

func BenchmarkSatisfied(b *testing.B) {
	for name, c := range benchRules(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.Satisfied(0x5555555555555555)
			}
		})
	}
}

func TestEvaluationAllocatesNothing(t *testing.T) {
	c := compile(t, names(32), large(0), strategies.MajorityOf(parts(5)...))
	times := make([]int64, 32)
	if n := testing.AllocsPerRun(100, func() { c.Deadline(times); c.Satisfied(77); c.Judge(3, 4) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
