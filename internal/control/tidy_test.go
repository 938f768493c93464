package control

import (
	"fmt"
	"testing"

	"github.com/quorate/quorate/internal/authority"
)

// A roster that is nearly full of gateways that came and went has room again for those that come.
func TestTidy(t *testing.T) {
	n := solo(t, nil)
	for i := range roomy + 5 {
		name := fmt.Sprintf("gone-%d", i)
		must(t, n.command(t.Context(), authority.Join{Gateway: name, Region: "r", Store: "s", Nonce: name}))
		gateways := n.fsm.read().gateways
		for _, g := range gateways {
			if g.Gateway == name {
				must(t, n.command(t.Context(), authority.Leave{Life: g.Life}))
			}
		}
	}
	eventually(t, "there is room", func() bool { return len(n.fsm.read().gateways) < roomy })
	if !n.Allow() {
		t.Error("the one that is there was forgotten")
	}
}

func TestEndedFirst(t *testing.T) {
	var all []authority.Gateway
	for i := range roomy {
		g := authority.Gateway{}
		g.Gateway, g.Incarnation, g.Fenced = fmt.Sprintf("g%03d", i), authority.Index(i+1), authority.Index(1000-i)
		all = append(all, g)
	}
	last := all[len(all)-1].Gateway
	all[len(all)-2].Fenced = 0 // lives
	voter := []authority.Member{{VoterID: authority.VoterID{Name: all[len(all)-3].Gateway}}}
	for _, tc := range []struct {
		gateways []authority.Gateway
		linked   []string
		want     string
	}{
		{all, nil, last},
		{all, []string{last}, all[len(all)-4].Gateway},
		{all[1:], nil, ""},
	} {
		if got := endedFirst(tc.gateways, voter, tc.linked); got != tc.want {
			t.Errorf("%q, not %q", got, tc.want)
		}
	}
}
