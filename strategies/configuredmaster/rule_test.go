package configuredmaster_test

import (
	"testing"

	"github.com/quorate/quorate/strategies/configuredmaster"
	"github.com/quorate/quorate/strategies/ruletest"
)

func TestRule(t *testing.T) {
	ruletest.Run(t, configuredmaster.Rule, []ruletest.Case{
		{Name: "one", Roster: "a@x", Master: "a", Rule: "a"},
		{Name: "two", Roster: "a@x b@y", Master: "b", Rule: "b"},
		{Name: "a witness", Roster: "a@x b@y c@z=witness", Master: "c", Rule: "c"},
		{Name: "none", Roster: "a@x b@y", Refused: "set master to one of the voters a, b"},
		{Name: "a stranger", Roster: "a@x b@y", Master: "q", Refused: "\"q\" is no voter"},
		{Name: "a member", Roster: "a@x b@y=member", Master: "b", Refused: "\"b\" is no voter; set it to one of a"},
	})
}
