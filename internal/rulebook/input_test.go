package rulebook_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/rulebook"
	"github.com/quorate/quorate/strategies"
	"github.com/quorate/quorate/strategies/oldestnode"
)

// Three voters begin together at entry 5, a fourth comes at 6, where their indexes have moved to.
func TestInput(t *testing.T) {
	voters := members("c d a b")
	for i := range voters {
		voters[i].Joined = 5
	}
	voters[1].Joined = 6
	gateway := func(name string, joined authority.Index) authority.Gateway {
		return authority.Gateway{Standing: authority.Standing{Life: authority.Life{Gateway: name, Incarnation: joined}}, Region: "s"}
	}
	in := rulebook.Input(voters, []authority.Gateway{gateway("m", 20), gateway("a", 9)}, 4, map[string]string{"master": "a"})
	if err := in.Validate(); err != nil {
		t.Fatal(err)
	}
	want := strategies.Roster{
		{Name: "a", Region: "r", Role: strategies.Voter, JoinIndex: 5},
		{Name: "b", Region: "r", Role: strategies.Voter, JoinIndex: 6},
		{Name: "c", Region: "r", Role: strategies.Voter, JoinIndex: 7},
		{Name: "d", Region: "r", Role: strategies.Voter, JoinIndex: 8},
		{Name: "m", Region: "s", Role: strategies.Member, JoinIndex: 20},
	}
	if diff := cmp.Diff(want, in.Roster); diff != "" {
		t.Error(diff)
	}
	if r, err := oldestnode.Rule(in); err != nil || r.String() != "a" {
		t.Errorf("the oldest is %v, %v", r, err)
	}
}
