package strategies_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/quorate/quorate/strategies"
)

func TestCanonicalText(t *testing.T) {
	for in, want := range map[string]string{
		"a":                                    "a",
		"1 of (a)":                             "a",
		"2 of (c, b, a)":                       "2 of (a, b, c)",
		"3 of (a*3, b*3)":                      "1 of (a, b)",
		"5 of (a*4, b*2, c*2)":                 "3 of (a*2, b, c)",
		"2 of (a*9, b, c)":                     "2 of (a*2, b, c)",
		"1 of (2 of (b, a))":                   "2 of (a, b)",
		"3 of (a, b, a, 1 of (a)*2)":           "3 of (a*3, b)",
		"2 of (1 of (a, b), 1 of (b, a))":      "1 of (a, b)",
		"7 of (1 of (a)*7)":                    "a",
		"2 of (2 of (d, c, e), 1 of (b)*3, a)": "2 of (a, b*2, 2 of (c, d, e))",
		"2 of (2 of (d, c), 1 of (b, a))":      "2 of (1 of (a, b), 2 of (c, d))",
	} {
		r, err := strategies.Parse(in)
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if r.String() != in && !strings.Contains(in, "1 of (a)") && !strings.Contains(in, "1 of (b)") {
			t.Errorf("%s reads back as %s", in, r)
		}
		if got := r.Canonical(); got.String() != want || !got.Equal(r) {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestInvalid(t *testing.T) {
	deep := strategies.Single("a")
	for range strategies.MaxDepth {
		deep = strategies.AtLeast(1, strategies.Nest(deep), strategies.One("b"))
	}
	many := make([]strategies.Part, strategies.MaxMembers+1)
	for i := range many {
		many[i] = strategies.One(names(len(many))[i])
	}
	both := strategies.Single("a")
	for want, r := range map[string]strategies.Rule{
		"outside 1..0":               {},
		"needs 4 of the weight 3":    strategies.AtLeast(4, strategies.Weighted(3, "a")),
		"needs 0 of the weight 1":    strategies.AtLeast(0, strategies.One("a")),
		"weight 0 of member 0":       strategies.AtLeast(1, strategies.Weighted(0, "a"), strategies.One("b")),
		"weight 32001 of member 0":   strategies.AtLeast(1, strategies.Weighted(32001, "a")),
		"weight 1 of member 1":       strategies.AtLeast(1, strategies.Weighted(32000, "a"), strategies.One("b")),
		"neither a voter's name":     strategies.AtLeast(1, strategies.One("")),
		`("b c") is neither`:         strategies.AtLeast(1, strategies.One("b c")),
		`("a") is neither`:           strategies.AtLeast(1, strategies.Part{Weight: 1, Voter: "a", Rule: &both}),
		"rule.1: needs 2 of":         strategies.AtLeast(1, strategies.One("b"), strategies.Nest(strategies.AtLeast(2, strategies.One("a")))),
		"nested more than 8 deep":    deep,
		"more than 64 members":       strategies.AtLeast(1, many...),
		"weight -1 of member 1 is b": strategies.AtLeast(1, strategies.One("a"), strategies.Weighted(-1, "b")),
	} {
		if err := r.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", r, err, want)
		}
	}
}

func TestBadText(t *testing.T) {
	for _, text := range []string{
		"", " ", "a b", "2 of", "2 of (", "2 of (a", "2 of (a,b)", "x of (a)", "1 of (a*)", "1 of (a*x)", "1 of ()",
		"1 of (a))", "a*2", "1 of (a, )", strings.Repeat("1 of (", 20), "1 of (" + strings.Repeat("a, ", 100), "1 of (a*-1)",
		strings.Repeat("a", strategies.MaxText+1), "99999999999999999999 of (a)",
	} {
		if r, err := strategies.Parse(text); err == nil {
			t.Errorf("%.40q reads as %v", text, r)
		}
	}
}

func TestEncoding(t *testing.T) {
	r, err := strategies.Parse("2 of (b, 2 of (d, c, e), a*3)")
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"version":1,"rule":{"need":2,"members":[{"voter":"a","weight":2},{"voter":"b","weight":1},{"weight":1,"rule":{"need":2,"members":[{"voter":"c","weight":1},{"voter":"d","weight":1},{"voter":"e","weight":1}]}}]}}`
	if got := string(r.Encode()); got != want {
		t.Errorf("encoded as %s", got)
	}
	back, err := strategies.Decode([]byte(want))
	if err != nil || !back.Equal(r) || !bytes.Equal(back.Encode(), r.Encode()) {
		t.Errorf("decoded %v: %v", back, err)
	}
	if _, err := strategies.Decode([]byte(`{"version":2,"shape":7}`)); !errors.Is(err, strategies.ErrNewer) {
		t.Errorf("a newer one: %v", err)
	}
	for _, bad := range []string{
		``, `{}`, `{"version":1}`, `{"version":0,"rule":{"need":1,"members":[{"voter":"a","weight":1}]}}`, want + "x", want + want,
		`{"version":1,"rule":{"need":2,"members":[{"voter":"a","weight":1}]}}`,
		`{"version":1,"rule":{"need":1,"members":[{"voter":"a","weight":1,"veto":true}]}}`,
		`{"version":1,"rule":{"need":1,"members":[{"voter":"a","weight":1}]},"more":1}`,
		strings.Repeat(" ", strategies.MaxEncoded+1),
	} {
		if r, err := strategies.Decode([]byte(bad)); err == nil {
			t.Errorf("%.60q decodes to %v", bad, r)
		}
	}
}

// FuzzRule: whatever reads as a rule has a text and an encoding that read back as the same rule, and a
// canonical form that is its own and is satisfied by the same sets.
func FuzzRule(f *testing.F) {
	f.Add("2 of (a, b, c)", uint64(3))
	f.Add("2 of (b*2, 2 of (d, c, e), a*3)", uint64(5))
	f.Add("3 of (1 of (a, b), 1 of (b, c)*2)", uint64(2))
	f.Add("1 of (1 of (0))", uint64(1))
	f.Fuzz(func(t *testing.T, text string, bits uint64) {
		r, err := strategies.Parse(text)
		if err != nil {
			return
		}
		again, err := strategies.Parse(r.String())
		if err != nil || !again.Equal(r) {
			t.Fatalf("%v reads back as %v: %v", r, again, err)
		}
		c := r.Canonical()
		if c.Validate() != nil || c.Canonical().String() != c.String() || !c.Equal(r) {
			t.Fatalf("canonical form %v of %v", c, r)
		}
		decoded, err := strategies.Decode(r.Encode())
		if err != nil || decoded.String() != c.String() {
			t.Fatalf("%v decodes as %v: %v", r, decoded, err)
		}
		text2, _ := json.Marshal(r)
		var same strategies.Rule
		if err := json.Unmarshal(text2, &same); err != nil || same.String() != r.String() {
			t.Fatalf("%v is %v in JSON: %v", r, same, err)
		}
		voters := r.Voters()
		set := strategies.Set(bits)
		want := satisfiedBy(r, voters, set)
		if satisfiedBy(c, voters, set) != want {
			t.Fatalf("%v and its canonical form %v differ on %v", r, c, set.Names(voters))
		}
		compiled, err := strategies.Compile(voters, r)
		if err != nil || compiled.Satisfied(set) != want {
			t.Fatalf("%v compiled differs on %v: %v", r, set.Names(voters), err)
		}
	})
}

func TestCanonicalIsTheSameRule(t *testing.T) {
	const seed = 11
	t.Logf("seed %d, 3000 rules over up to 6 voters, all sets", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 3000 {
		voters := names(1 + rng.IntN(6))
		r := randomRule(rng, voters, 2, false)
		c := r.Canonical()
		compiled, err := strategies.Compile(voters, c)
		if err != nil {
			t.Fatal(err)
		}
		for s := range strategies.Set(1) << len(voters) {
			want := satisfiedBy(r, voters, s)
			has := func(v string) bool { return s&strategies.MakeSet(voters, v) != 0 }
			if satisfiedBy(c, voters, s) != want || compiled.Satisfied(s) != want || r.Satisfied(has) != want {
				t.Fatalf("%v, canonical %v, differ on %v", r, c, s.Names(voters))
			}
		}
	}
}
