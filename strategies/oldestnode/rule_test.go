package oldestnode_test

import (
	"testing"

	"github.com/quorate/quorate/strategies/oldestnode"
	"github.com/quorate/quorate/strategies/ruletest"
)

func TestRule(t *testing.T) {
	ruletest.Run(t, oldestnode.Rule, []ruletest.Case{
		{Name: "one", Roster: "a@x", Rule: "a"},
		{Name: "two", Roster: "b@x a@y", Rule: "b"},
		{Name: "the oldest is a member", Roster: "a@x=member b@y c@z", Rule: "b"},
		{Name: "the oldest is a witness", Roster: "a@x=witness b@y c@z", Rule: "a"},
		{Name: "nobody", Refused: "no voter"},
	})
}
