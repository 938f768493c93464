package ruletest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/quorate/quorate/strategies"
)

// failures counts what a run finds.
type failures []string

func (*failures) Helper() {}

func (f *failures) Errorf(format string, args ...any) { *f = append(*f, fmt.Sprintf(format, args...)) }

// TestRun: whatever a strategy answers but what the table says is found.
func TestRun(t *testing.T) {
	first := func(in strategies.Input) (strategies.Rule, error) {
		if len(in.Roster) == 0 {
			return strategies.Rule{}, strategies.Refuse("nobody is there")
		}
		return strategies.MajorityOf(strategies.One(in.Roster[len(in.Roster)-1].Name)), nil
	}
	broken := func(strategies.Input) (strategies.Rule, error) { return strategies.Rule{}, errors.New("a") }
	apart := func(strategies.Input) (strategies.Rule, error) {
		return strategies.AtLeast(1, strategies.One("a"), strategies.One("b")), nil
	}
	for name, tc := range map[string]struct {
		rule strategies.Func
		Case
		wrong int
	}{
		"right":                       {first, Case{Roster: "a@x b@y", Rule: "a"}, 0},
		"another rule":                {first, Case{Roster: "a@x b@y", Rule: "b"}, 1},
		"right refusal":               {first, Case{Refused: "nobody"}, 0},
		"other words":                 {first, Case{Refused: "no voter"}, 1},
		"a rule instead of a refusal": {first, Case{Roster: "a@x", Refused: "a"}, 1},
		"a refusal instead of a rule": {first, Case{Rule: "nobody is there"}, 1},
		"an error with the rule's":    {broken, Case{Roster: "a@x", Rule: "a"}, 1},
		"no refusal":                  {broken, Case{Roster: "a@x", Refused: "a"}, 1},
		"inadmissible":                {apart, Case{Roster: "a@x b@y", Rule: "1 of (a, b)"}, 1},
		"no roster":                   {first, Case{Roster: "a@x a@y", Rule: "a"}, 1},
	} {
		var f failures
		if Run(&f, tc.rule, []Case{tc.Case}); len(f) != tc.wrong {
			t.Errorf("%s: %q, want %d", name, f, tc.wrong)
		}
	}
}
