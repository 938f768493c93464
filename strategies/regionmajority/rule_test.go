package regionmajority_test

import (
	"testing"

	"github.com/quorate/quorate/strategies/regionmajority"
	"github.com/quorate/quorate/strategies/ruletest"
)

func TestRule(t *testing.T) {
	ruletest.Run(t, regionmajority.Rule, []ruletest.Case{
		{Name: "one", Roster: "a@x", Rule: "a"},
		{Name: "one region", Roster: "a@x b@x c@x", Rule: "2 of (a, b, c)"},
		{Name: "one region, two voters", Roster: "a@x b@x", Refused: "add a voter in a third region"},
		{Name: "two regions", Roster: "a@x b@x c@y d@y", Refused: "over 2 of (2 of (a, b), 2 of (c, d)) both are needed"},
		{Name: "two regions, on the way", Roster: "a@x b@y", Declared: 3, Rule: "2 of (a, b)"},
		{Name: "three regions", Roster: "a@x b@y c@z", Rule: "2 of (a, b, c)"},
		{Name: "uneven", Roster: "a@x b@x c@x d@y e@z", Rule: "2 of (d, e, 2 of (a, b, c))"},
		{Name: "members and weights", Roster: "a@x*3 b@x c@x d@y e@z f@z=member", Rule: "2 of (d, e, 3 of (a*3, b, c))"},
		{Name: "three by three", Roster: "a@x b@y c@z d@x e@y f@z g@x h@y i@z", Rule: "2 of (2 of (a, d, g), 2 of (b, e, h), 2 of (c, f, i))"},
		{Name: "nobody", Refused: "no voter"},
	})
}
