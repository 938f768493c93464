package control

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/peer"
)

// Another gateway has entries committed that concern itself, and no others.
func TestEntitled(t *testing.T) {
	n := solo(t, func(c *Config) { c.Parts = map[string]Part{"sum": &sum{}} })
	r := n.fsm.read().view.Ruling
	life := n.fsm.read().gateways[0].Life
	everybody := []authority.VoterID{n.me()}
	for _, c := range []authority.Command{
		authority.Leave{Life: life}, authority.Suspect{Life: life}, authority.Clear{Life: life, Suspect: 1},
		authority.Fence{Life: life, Suspect: 1, Confirmed: everybody}, authority.Remove{Gateway: "a"},
		authority.Join{Gateway: "c", Region: "r", Store: "s", Nonce: "n"}, authority.Bootstrap{Cluster: "c", Quorum: r.Now, Declared: 1},
		authority.Change{From: r.Version, Quorum: r.Now, Declared: 1}, authority.Finish{Barrier: 1, Confirmed: everybody}, authority.Restore{Barrier: 1},
		authority.Force{Quorum: r.Now, Declared: 1, By: "b", At: "now"}, authority.Take{Record: "x", Minter: life, Claimant: life},
		authority.Takes{Claims: []authority.Take{{Record: "x", Minter: life, Claimant: authority.Life{Gateway: "b"}}, {Record: "y", Minter: life, Claimant: life}}},
		authority.Takes{}, authority.Forget{}, authority.Noop{},
	} {
		before := n.fsm.read()
		if err := pushed(t, n, c); !errors.Is(err, ErrRefused) {
			t.Errorf("%T: %v", c, err)
		}
		if diff := cmp.Diff(before.gateways, n.fsm.read().gateways); diff != "" || n.fsm.read().view.Ruling.Version != r.Version {
			t.Errorf("%T: %s", c, diff)
		}
	}
	must(t, pushed(t, n, authority.Join{Gateway: "b", Region: "r", Store: "s", Nonce: "n"}))
	b := n.fsm.read().gateways[1].Life
	must(t, pushed(t, n, authority.Takes{Claims: []authority.Take{{Record: "x", Minter: life, Claimant: b}, {Record: "y", Minter: b, Claimant: b}}}))
	must(t, pushed(t, n, authority.Suspect{Life: b}))
	must(t, pushed(t, n, authority.Leave{Life: b}))
}

// pushed has b propose a command at n.
func pushed(t *testing.T, n *Node, c authority.Command) error {
	t.Helper()
	entry, err := authorityEntry(c)
	must(t, err)
	answer, err := n.serve(t.Context(), peer.Identity{Region: "r", Gateway: "b"}, "propose", entry)
	if p, ok := answer.(proposed); ok && p.Refused != "" {
		t.Errorf("%T is in the log, and was refused there: %s", c, p.Refused)
	}
	return err
}
