package regionmajority_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/quorate/quorate/strategies"
	"github.com/quorate/quorate/strategies/regionmajority"
)

func TestRule(t *testing.T) {
	for _, tc := range []struct {
		name     string
		roster   string // name@region, with =role or *weight, in the order of joining
		declared int
		master   string
		want     string // the rule, or the refusal's words
	}{
		{"one", "a@x", 0, "", "a"},
		{"one region", "a@x b@x c@x", 0, "", "2 of (a, b, c)"},
		{"one region, two voters", "a@x b@x", 0, "", "add a voter in a third region"},
		{"two regions", "a@x b@x c@y d@y", 0, "", "over 2 of (2 of (a, b), 2 of (c, d)) both are needed"},
		{"two regions, on the way", "a@x b@y", 3, "", "2 of (a, b)"},
		{"three regions", "a@x b@y c@z", 0, "", "2 of (a, b, c)"},
		{"uneven", "a@x b@x c@x d@y e@z", 0, "", "2 of (d, e, 2 of (a, b, c))"},
		{"members and weights", "a@x*3 b@x c@x d@y e@z f@z=member", 0, "", "2 of (d, e, 3 of (a*3, b, c))"},
		{"three by three", "a@x b@y c@z d@x e@y f@z g@x h@y i@z", 0, "", "2 of (2 of (a, d, g), 2 of (b, e, h), 2 of (c, f, i))"},
		{"nobody", "", 0, "", "no voter"},
	} {
		in := strategies.Input{Roster: roster(tc.roster), Declared: tc.declared, Options: map[string]string{"master": tc.master}}
		if err := in.Validate(); err != nil && tc.roster != "" {
			t.Fatalf("%s: %v", tc.name, err)
		}
		r, err := regionmajority.Rule(in)
		if err != nil {
			if !errors.Is(err, strategies.ErrRefused) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
			}
			continue
		}
		if r, err = strategies.Admit(in, r); err != nil || r.String() != tc.want {
			t.Errorf("%s: %v, %v, want %s", tc.name, r, err, tc.want)
		}
	}
}

// roster reads the table's short form, the last entry first: a strategy must not go by order.
func roster(text string) strategies.Roster {
	var r strategies.Roster
	for i, entry := range strings.Fields(text) {
		entry, role, _ := strings.Cut(entry, "=")
		entry, heavy := strings.CutSuffix(entry, "*3")
		name, region, _ := strings.Cut(entry, "@")
		g := strategies.Gateway{Name: name, Region: region, Role: strategies.Voter, JoinIndex: uint64(i + 1)}
		if role != "" {
			g.Role, _ = strategies.ParseRole(role)
		}
		if heavy {
			g.Weight = 3
		}
		r = append(strategies.Roster{g}, r...)
	}
	return r
}
