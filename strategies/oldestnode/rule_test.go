package oldestnode_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/quorate/quorate/strategies"
	"github.com/quorate/quorate/strategies/oldestnode"
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
		{"two", "b@x a@y", 0, "", "b"},
		{"the oldest is a member", "a@x=member b@y c@z", 0, "", "b"},
		{"the oldest is a witness", "a@x=witness b@y c@z", 0, "", "a"},
		{"nobody", "", 0, "", "no voter"},
	} {
		in := strategies.Input{Roster: roster(tc.roster), Declared: tc.declared, Options: map[string]string{"master": tc.master}}
		if err := in.Validate(); err != nil && tc.roster != "" {
			t.Fatalf("%s: %v", tc.name, err)
		}
		r, err := oldestnode.Rule(in)
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
