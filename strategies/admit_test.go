package strategies_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/quorate/quorate/strategies"
)

// roster reads "name@region" or "name@region=role", joined in this order.
func roster(entries ...string) strategies.Roster {
	var r strategies.Roster
	for i, e := range entries {
		e, role, _ := strings.Cut(e, "=")
		name, region, _ := strings.Cut(e, "@")
		g := strategies.Gateway{Name: name, Region: region, Role: strategies.Voter, JoinIndex: uint64(i + 1)}
		if role != "" {
			g.Role, _ = strategies.ParseRole(role)
		}
		r = append(r, g)
	}
	return r
}

func TestAdmit(t *testing.T) {
	three := roster("a@x", "b@y", "c@z=witness", "m@x=member")
	two := roster("a@x", "b@y")
	four := roster("a@x", "b@x", "c@y", "d@y")
	for _, tc := range []struct {
		rule     string
		roster   strategies.Roster
		declared int
		want     string // of the error; "" admits
	}{
		{"2 of (c, b, a)", three, 0, ""},
		{"a", three, 0, ""},
		{"2 of (a, b, m)", three, 0, "no voter of the roster: m (1 in all)"},
		{"2 of (a, b, q, r)", three, 0, "q, r (2 in all)"},
		{"1 of (a, b, c)", three, 0, "two sides could both write under 1 of (a, b, c): {a} and {b, c}"},
		{"2 of (a, b, q, r)", three, 0, "two sides could both write"},
		{"2 of (a, b)", two, 0, "needs both"},
		{"2 of (a, b)", two, 2, "needs both"},
		{"2 of (a, b)", two, 3, ""},
		{"2 of (a, b)", three, 3, "needs both"}, // the third is there
		{"3 of (a*2, b)", two, 0, "needs both"},
		{"2 of (a*2, b)", two, 0, ""},
		{"3 of (a, b, c, d)", four, 0, ""},
		{"2 of (2 of (a, b), 2 of (c, d))", four, 0, "needs both"},
		{"2 of (3 of (a, b, c, d), 2 of (a, b))", four, 0, ""}, // one group is part of the other
		{"3 of (a, b, c)", three, 0, ""},
	} {
		r, err := strategies.Admit(strategies.Input{Roster: tc.roster, Declared: tc.declared}, parse(t, tc.rule))
		switch {
		case tc.want == "" && (err != nil || r.String() != r.Canonical().String()):
			t.Errorf("%s: %v, %v", tc.rule, r, err)
		case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
			t.Errorf("%s: %v, want %q", tc.rule, err, tc.want)
		}
	}
	_, err := strategies.Admit(strategies.Input{Roster: two}, parse(t, "2 of (a, b)"))
	if !errors.Is(err, strategies.ErrBothNeeded) || !strings.Contains(err.Error(), "quorate serve --witness") {
		t.Errorf("two voters: %v", err)
	}
	if _, err := strategies.Admit(strategies.Input{Roster: two}, strategies.Rule{}); err == nil {
		t.Error("the zero rule is admitted")
	}
}

func TestLosses(t *testing.T) {
	r := roster("a@x", "b@x", "c@y", "d@z=witness", "e@z")
	for rule, want := range map[string][]string{
		"c": {
			"without voter a: all writes", "without voter b: all writes", "without voter c: no writes",
			"without voter d: all writes", "without voter e: all writes",
			"without region x: all writes", "without region y: no writes", "without region z: all writes",
		},
		"3 of (a, b, c, d, e)": {
			"without voter a: all writes", "without voter b: all writes", "without voter c: all writes",
			"without voter d: all writes", "without voter e: all writes",
			"without region x: all writes", "without region y: all writes", "without region z: all writes",
		},
	} {
		losses, err := strategies.Losses(r, parse(t, rule))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, l := range losses {
			got = append(got, l.String())
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", rule, diff)
		}
	}
	// The master remains, but alone: it goes on with what it owns.
	losses, err := strategies.Losses(roster("a@x", "b@y", "c@y"), strategies.Single("a"))
	if err != nil || losses[4].Left != strategies.OwnedWrites || losses[4].Name != "y" {
		t.Errorf("%v, %v", losses, err)
	}
	losses, err = strategies.Losses(roster("a@x", "b@x", "c@y", "d@y"), strategies.Single("a"))
	if err != nil || losses[5].Left != strategies.OwnedWrites || losses[4].Left != strategies.NoWrites || losses[3].Left != strategies.AllWrites {
		t.Errorf("half of four: %v, %v", losses, err)
	}
	if _, err := strategies.Losses(r, strategies.Single("stranger")); err == nil {
		t.Error("a stranger's rule has losses")
	}
}

func TestRosterValidate(t *testing.T) {
	good := roster("a@x", "b@y=witness", "c@y=member")
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"a", "b"}, good.Names()); diff != "" {
		t.Error(diff)
	}
	if good[2].Votes() != 0 || good[1].Votes() != 1 {
		t.Error("a member votes or a witness does not")
	}
	spoil := func(f func(g *strategies.Gateway)) strategies.Roster {
		r := roster("a@x", "b@y")
		f(&r[1])
		return r
	}
	for want, r := range map[string]strategies.Roster{
		"0 voters are outside 1..32":          roster("a@x=member"),
		"33 voters are outside":               roster(strings.Fields(strings.Repeat("v@x ", 33))...),
		"a is there twice":                    spoil(func(g *strategies.Gateway) { g.Name = "a" }),
		"b has the join index 1 of another":   spoil(func(g *strategies.Gateway) { g.JoinIndex = 1 }),
		"b has no join index":                 spoil(func(g *strategies.Gateway) { g.JoinIndex = 0 }),
		`region "" of b`:                      spoil(func(g *strategies.Gateway) { g.Region = "" }),
		`name "b/c" is not a name`:            spoil(func(g *strategies.Gateway) { g.Name = "b/c" }),
		"weight 1001 of b is outside":         spoil(func(g *strategies.Gateway) { g.Weight = 1001 }),
		"role 9 of b":                         spoil(func(g *strategies.Gateway) { g.Role = 9 }),
		"257 gateways, at most 256 are allow": make(strategies.Roster, 257),
	} {
		if err := r.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	in := strategies.Input{Roster: good, Declared: 99, Options: map[string]string{"a b": "", "c": strings.Repeat("x", 1025)}}
	for i := range 40 {
		in.Options[fmt.Sprint("o", i)] = ""
	}
	err := in.Validate()
	for _, want := range []string{"99 declared", "42 options", `"a b"`, `"c"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
