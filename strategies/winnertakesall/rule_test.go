package winnertakesall_test

import (
	"testing"

	"github.com/quorate/quorate/strategies/ruletest"
	"github.com/quorate/quorate/strategies/winnertakesall"
)

func TestRule(t *testing.T) {
	ruletest.Run(t, winnertakesall.Rule, []ruletest.Case{
		{Name: "one", Roster: "a@x", Rule: "a"},
		{Name: "two", Roster: "a@x b@y", Refused: "quorate serve --witness"},
		{Name: "two of three", Roster: "a@x b@y", Declared: 3, Rule: "2 of (a, b)"},
		{Name: "two, one heavy", Roster: "a@x*3 b@y", Rule: "3 of (a*3, b)"},
		{Name: "three", Roster: "a@x b@y c@z", Rule: "2 of (a, b, c)"},
		{Name: "members do not count", Roster: "a@x b@y c@z d@z=member e@z=member", Rule: "2 of (a, b, c)"},
		{Name: "a witness does", Roster: "a@x b@y c@z=witness", Rule: "2 of (a, b, c)"},
		{Name: "four", Roster: "a@x b@y c@z d@x", Rule: "3 of (a, b, c, d)"},
		{Name: "weights", Roster: "a@x*3 b@y c@z", Rule: "3 of (a*3, b, c)"},
		{Name: "five", Roster: "a@x b@y c@z d@x e@y", Rule: "3 of (a, b, c, d, e)"},
	})
}
