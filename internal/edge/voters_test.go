package edge

import (
	"errors"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/admin"
)

// A witness that the fleet has left behind is told so, and not that it is a witness.
func TestClosedGatesSayWhatToDo(t *testing.T) {
	for _, tc := range []struct {
		refused, witness, begun, led bool
		says                         string
	}{
		{true, true, true, false, "quorate rejoin"}, {true, false, true, false, "quorate rejoin"}, {false, true, true, true, "this is a witness"},
		{false, false, false, false, "has not begun"}, {false, false, true, false, "no leader is known"}, {false, false, true, true, "is suspected"},
	} {
		if got := closedBy(tc.refused, tc.witness, tc.begun, tc.led); !strings.Contains(got, tc.says) {
			t.Errorf("%+v: %s", tc, got)
		}
	}
}

// quorate admin voters add WITNESS without --role gives it its vote, and must not read as if nothing had happened.
func TestVoterOfAnotherRoleHasItsVote(t *testing.T) {
	witness := admin.Voter{Name: "wit", Role: admin.RoleWitness, Region: "ap"}
	for _, tc := range []struct {
		c    admin.VoterChange
		was  bool
		says string
	}{
		{admin.VoterChange{Name: "wit", Role: admin.RoleWitness}, false, ""},
		{admin.VoterChange{Name: "wit", Role: admin.RoleWitness, Region: "ap"}, true, ""},
		{admin.VoterChange{Name: "wit", Role: admin.RoleVoter}, false, "wit has its vote now, and is a witness of ap"},
		{admin.VoterChange{Name: "wit", Role: admin.RoleVoter}, true, "wit is a witness of ap"},
		{admin.VoterChange{Name: "wit", Role: admin.RoleWitness, Region: "eu"}, false, "wit has its vote now"},
	} {
		err := asAsked(tc.c, witness, tc.was)
		if (err == nil) != (tc.says == "") || err != nil && (!errors.Is(err, admin.ErrVoterRefused) || !strings.Contains(err.Error(), tc.says)) {
			t.Errorf("%+v: %v", tc.c, err)
		}
	}
}
