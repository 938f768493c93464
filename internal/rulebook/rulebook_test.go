package rulebook_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/rulebook"
	"github.com/quorate/quorate/strategies"
)

func rule(t *testing.T, text string) strategies.Rule {
	t.Helper()
	r, err := strategies.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func members(names string) []authority.Member {
	var all []authority.Member
	for i, name := range strings.Fields(names) {
		id := authority.VoterID{Name: name, Store: name + "-store"}
		all = append(all, authority.Member{VoterID: id, Region: "r", Joined: authority.Index(i + 1)})
	}
	return all
}

func TestParseRefuses(t *testing.T) {
	var split *strategies.SplitError
	for _, tc := range []struct {
		name, source string
		is           func(error) bool
	}{
		{"nothing", "", func(err error) bool { return err != nil }},
		{"no rule", `{"version":1}`, func(err error) bool { return err != nil }},
		{"an unknown field", `{"version":1,"rule":{"need":1,"members":[{"voter":"a","weight":1}]},"veto":"b"}`, func(err error) bool { return err != nil }},
		{"of a newer release", `{"version":2}`, func(err error) bool { return errors.Is(err, authority.ErrNewer) }},
		{"two sides", string(rule(t, "1 of (a, b)").Encode()), func(err error) bool { return errors.As(err, &split) }},
	} {
		if r, err := (rulebook.Rulebook{}).Parse([]byte(tc.source)); r != nil || !tc.is(err) {
			t.Errorf("%s: %v, %v", tc.name, r, err)
		}
	}
}

func TestAdmit(t *testing.T) {
	var strangers *strategies.Strangers
	passes := func(err error) bool { return err == nil }
	both := func(err error) bool { return errors.Is(err, strategies.ErrBothNeeded) }
	stranger := func(err error) bool { return errors.As(err, &strangers) }
	for _, tc := range []struct {
		name, rule, voters string
		declared           int
		is                 func(error) bool
	}{
		{"one", "a", "a", 0, passes},
		{"a master of two", "a", "a b", 2, passes},
		{"both of two", "2 of (a, b)", "a b", 0, both},
		{"both of two, two declared", "2 of (a, b)", "a b", 2, both},
		{"both of two, three to come", "2 of (a, b)", "a b", 3, passes},
		{"both of three", "2 of (a, b)", "a b c", 3, both},
		{"three", "2 of (a, b, c)", "c b a", 3, passes},
		{"two regions", "2 of (2 of (a, b, c), 2 of (d, e, f))", "a b c d e f", 0, both},
		{"a stranger", "2 of (a, b, z)", "a b c", 3, stranger},
	} {
		parsed, err := rulebook.Rulebook{}.Parse(rule(t, tc.rule).Encode())
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		if err := (rulebook.Rulebook{}).Admit(parsed, members(tc.voters), tc.declared); !tc.is(err) {
			t.Errorf("%s: %v", tc.name, err)
		}
		if s := fmt.Sprint(parsed); s != tc.rule {
			t.Errorf("%s reads %s", tc.rule, s)
		}
	}
	if err := (rulebook.Rulebook{}).Admit(nil, members("a"), 1); err == nil {
		t.Error("no rule passes")
	}
}

// random is a rule over some of the voters, most likely one that does not intersect itself.
func random(rng *rand.Rand, voters []string, depth int) strategies.Rule {
	n, total := 1+rng.IntN(4), 0
	var parts []strategies.Part
	for range n {
		part := strategies.Weighted(1+rng.IntN(3), voters[rng.IntN(len(voters))])
		if depth > 0 && rng.IntN(3) == 0 {
			inner := random(rng, voters, depth-1)
			part = strategies.Part{Weight: part.Weight, Rule: &inner}
		}
		total += part.Weight
		parts = append(parts, part)
	}
	return strategies.AtLeast(1+rng.IntN(total), parts...)
}

// What the log's rule says of a set is what the strategy's rule says, and what Parse takes intersects itself: for
// random rules over six voters, every set is tried, and every pair of disjoint ones.
func TestAgreesWithTheRule(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng, voters, taken := rand.New(rand.NewPCG(seed, 1)), strings.Fields("a b c d e f"), 0
	for range 2000 {
		r := random(rng, voters, 2)
		parsed, err := rulebook.Rulebook{}.Parse(r.Encode())
		if split := splits(r, voters); (err != nil) != split {
			t.Fatalf("%v: two sides %t, parse: %v", r, split, err)
		}
		if err != nil {
			continue
		}
		taken++
		for set := range 1 << len(voters) {
			if got, want := parsed.Satisfied(among(voters, set)), r.Satisfied(among(voters, set)); got != want {
				t.Fatalf("%v of set %b: %t, want %t", r, set, got, want)
			}
		}
	}
	if taken < 100 {
		t.Errorf("only %d rules intersect themselves", taken)
	}
}

// splits reports whether a set and what is left of the voters both satisfy the rule.
func splits(r strategies.Rule, voters []string) bool {
	all := 1<<len(voters) - 1
	for set := range all + 1 {
		if r.Satisfied(among(voters, set)) && r.Satisfied(among(voters, all&^set)) {
			return true
		}
	}
	return false
}

func among(voters []string, set int) func(string) bool {
	return func(name string) bool {
		for i, v := range voters {
			if v == name {
				return set>>i&1 == 1
			}
		}
		return false
	}
}

func TestSatisfiedAllocatesNothing(t *testing.T) {
	parsed, err := rulebook.Rulebook{}.Parse(rule(t, "2 of (2 of (a, b, c), d, e)").Encode())
	if err != nil {
		t.Fatal(err)
	}
	has := func(name string) bool { return name != "a" }
	if n := testing.AllocsPerRun(100, func() { parsed.Satisfied(has) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A machine with this rulebook takes two voters on the way to a declared three, refuses to stay at two, and stops at a
// rule that only a newer release can read: to refuse what that accepts would part them.
func TestMachine(t *testing.T) {
	m, err := authority.NewMachine(authority.MachineConfig{Rules: rulebook.Rulebook{}})
	if err != nil {
		t.Fatal(err)
	}
	quorum := func(text, voters string) authority.Quorum {
		return authority.Quorum{Source: rule(t, text).Encode(), Voters: members(voters), Promise: time.Second}
	}
	if _, err := m.ApplyCommand(1, authority.Bootstrap{Cluster: "c", Quorum: quorum("a", "a"), Declared: 1}); err != nil {
		t.Fatal(err)
	}
	grow := authority.Change{From: 1, Quorum: quorum("2 of (a, b)", "a b"), Declared: 2}
	if _, err := m.ApplyCommand(2, grow); !errors.Is(err, authority.ErrRefused) || !errors.Is(err, strategies.ErrBothNeeded) {
		t.Errorf("two of two: %v", err)
	}
	grow.Declared = 3
	if _, err := m.ApplyCommand(3, grow); err != nil {
		t.Errorf("two on the way to three: %v", err)
	}
	newer := authority.Change{From: 2, Quorum: quorum("a", "a"), Declared: 3}
	newer.Quorum.Source = []byte(`{"version":2}`)
	if _, err := m.ApplyCommand(4, authority.Finish{Barrier: 3, Confirmed: []authority.VoterID{{Name: "a", Store: "a-store"}, {Name: "b", Store: "b-store"}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.ApplyCommand(5, newer); !errors.Is(err, authority.ErrNewer) || errors.Is(err, authority.ErrRefused) || m.Index() != 4 {
		t.Errorf("a rule of a newer release: %v, index %d", err, m.Index())
	}
	snapshot, err := m.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Restore(snapshot); err != nil {
		t.Error(err)
	}
}
