package edge

import (
	"slices"
	"testing"

	"github.com/quorate/quorate/regions"
)

func seenNode(id, url string, s regions.State, failures int) regions.Node {
	return regions.Node{Proposal: regions.Proposal{ID: regions.NodeID(id), URL: url}, Observation: regions.Observation{State: s, ConsecutiveFailures: failures}}
}

func TestUnverified(t *testing.T) {
	unknown := seenNode("a", "u", regions.Unknown, 0)
	unproven := unknown
	unproven.Unproven = true
	for name, tc := range map[string]struct {
		nodes []regions.Node
		want  bool
	}{
		"nobody":                     {nil, false},
		"one that was not looked at": {[]regions.Node{unknown}, true},
		"one that has failed once":   {[]regions.Node{seenNode("a", "u", regions.Unknown, 1)}, true},
		"one that is down":           {[]regions.Node{seenNode("a", "u", regions.Unhealthy, 3)}, false},
		"an impostor":                {[]regions.Node{unproven}, false},
		"beside one that serves":     {[]regions.Node{unknown, seenNode("b", "v", regions.Degraded, 1)}, false},
		"beside one that is down":    {[]regions.Node{seenNode("b", "v", regions.Unhealthy, 3), unknown}, true},
	} {
		if got := unverified(tc.nodes); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestHandedOver(t *testing.T) {
	healthy := regions.Healthy
	before := []regions.Node{seenNode("gone", "1", healthy, 0), seenNode("moved", "2", healthy, 0), seenNode("down", "3", healthy, 0)}
	now := []regions.Node{seenNode("moved", "9", regions.Unknown, 0), seenNode("down", "3", regions.Unhealthy, 3), seenNode("new", "4", regions.Unknown, 0)}
	was := slices.Clone(now)
	var got []string
	for _, n := range handedOver(before, now) {
		got = append(got, string(n.ID)+" at "+n.URL+" "+n.State.String())
	}
	want := []string{"moved at 2 healthy", "down at 3 unhealthy", "new at 4 unknown", "gone at 1 healthy"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for i := range now {
		if now[i].URL != was[i].URL {
			t.Error("the tracker's nodes were written to")
		}
	}
}
