package control

import (
	"testing"
	"time"

	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/strategies"
)

// A promise that moves with the distance begins no epoch: nodes would refuse those who apply it a moment later.
// Another rule does, when it begins and when it is final.
func TestEpochs(t *testing.T) {
	f, _, _ := newState(t)
	voters := []authority.Member{
		{VoterID: authority.VoterID{Name: "a", Store: "1"}, Region: "r"}, {VoterID: authority.VoterID{Name: "b", Store: "2"}, Region: "r"},
		{VoterID: authority.VoterID{Name: "c", Store: "3"}, Region: "r"},
	}
	quorum := func(promise time.Duration, need ...string) authority.Quorum {
		r := strategies.Rule{Need: len(need)/2 + 1}
		for _, name := range need {
			r.Members = append(r.Members, strategies.Part{Voter: name, Weight: 1})
		}
		return authority.Quorum{Source: r.Encode(), Voters: voters, Promise: promise}
	}
	all := []authority.VoterID{voters[0].VoterID, voters[1].VoterID, voters[2].VoterID}
	for i, step := range []struct {
		command authority.Command
		epoch   uint64
	}{
		{authority.Bootstrap{Cluster: "x", Quorum: quorum(time.Second, "a", "b", "c"), Declared: 3}, 1},
		{authority.Change{From: 1, Quorum: quorum(2*time.Second, "a", "b", "c"), Declared: 3}, 1},
		{authority.Finish{Barrier: 2, Confirmed: all}, 1},
		{authority.Change{From: 2, Quorum: quorum(2*time.Second, "b"), Declared: 3}, 4},
		{authority.Finish{Barrier: 4, Confirmed: all}, 5},
		{authority.Change{From: 3, Quorum: quorum(time.Second, "b"), Declared: 3}, 5},
		{authority.Restore{Barrier: 6}, 5},
		{authority.Change{From: 5, Quorum: quorum(time.Second, "c"), Declared: 3}, 8},
		{authority.Restore{Barrier: 8}, 9},
	} {
		index := uint64(i + 1)
		if o := f.at(index, command(t, step.command)); o.err != nil {
			t.Fatalf("entry %d: %v", index, o.err)
		}
		if got := f.read().epoch; got != step.epoch {
			t.Errorf("entry %d (%T): epoch %d, want %d", index, step.command, got, step.epoch)
		}
	}
}
