// Package ruletest holds a split-brain strategy to a table of rosters, each with the rule or the refusal that it has to
// answer. It must not know any strategy.
package ruletest

import (
	"errors"
	"strings"

	"github.com/quorate/quorate/strategies"
)

// T is what Run needs of a *testing.T.
type T interface {
	Helper()
	Errorf(format string, args ...any)
}

// Case is one question. Either Rule or Refused is set.
type Case struct {
	Name     string
	Roster   string // name@region of every voter in the order of joining; =ROLE makes it another, *3 weighs it 3
	Declared int    // voters that there are to be; 0: those of the roster
	Master   string // the option of that name
	Rule     string // the admitted rule, as its String writes it
	Refused  string // a part of the refusal's words
}

// Run asks a strategy every question.
func Run(t T, rule strategies.Func, cases []Case) {
	t.Helper()
	for _, c := range cases {
		in := strategies.Input{Roster: roster(c.Roster), Declared: c.Declared, Options: map[string]string{"master": c.Master}}
		if err := in.Validate(); err != nil && c.Roster != "" {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		r, err := rule(in)
		if c.Refused != "" {
			if !errors.Is(err, strategies.ErrRefused) || !strings.Contains(err.Error(), c.Refused) {
				t.Errorf("%s: %v, %v, want the refusal %q", c.Name, r, err, c.Refused)
			}
			continue
		}
		if err == nil {
			r, err = strategies.Admit(in, r)
		}
		if err != nil || r.String() != c.Rule {
			t.Errorf("%s: %v, %v, want %s", c.Name, r, err, c.Rule)
		}
	}
}

// roster reads a case's short form, the last entry first: a strategy must not go by order.
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
