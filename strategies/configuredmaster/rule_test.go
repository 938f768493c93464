package configuredmaster_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/quorate/quorate/strategies"
	"github.com/quorate/quorate/strategies/configuredmaster"
)

func TestRule(t *testing.T) {
	for _, tc := range []struct {
		name     string
		roster   string // name@region, with =role or *weight, in the order of joining
		declared int
		master   string
		want     string // the rule, or the refusal's words
	}{
		{"one", "a@x", 0, "a", "a"},
		{"two", "a@x b@y", 0, "b", "b"},
		{"a witness", "a@x b@y c@z=witness", 0, "c", "c"},
		{"none", "a@x b@y", 0, "", "set master to one of the voters a, b"},
		{"a stranger", "a@x b@y", 0, "q", "\"q\" is no voter"},
		{"a member", "a@x b@y=member", 0, "b", "\"b\" is no voter; set it to one of a"},
	} {
		in := strategies.Input{Roster: roster(tc.roster), Declared: tc.declared, Options: map[string]string{"master": tc.master}}
		if err := in.Validate(); err != nil && tc.roster != "" {
			t.Fatalf("%s: %v", tc.name, err)
		}
		r, err := configuredmaster.Rule(in)
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
