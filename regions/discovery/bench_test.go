package discovery

import (
	"fmt"
	"testing"
	"time"

	"github.com/quorate/quorate/regions"
)

// many returns n nodes as an answer names them, with those from a changed to another version.
func many(n, changed int) []regions.Proposal {
	all := make([]regions.Proposal, n)
	for i := range all {
		all[i] = regions.Proposal{
			ID: regions.NodeID(fmt.Sprintf("search-%d", i)), Service: "search", Region: "us-east", Source: "consul", Weight: 1, Version: "1",
			URL: fmt.Sprintf("https://10.%d.%d.%d:9000/mcp", i>>16, i>>8&255, i&255),
		}
	}
	for i := range changed {
		all[i*(n/changed)].Version = "2"
	}
	return all
}

// BenchmarkTake takes in answers that name 10,000 nodes: again the same ones, one node other than before, one node
// more or fewer, all of them other than before, and the same ones from two sources.
func BenchmarkTake(b *testing.B) {
	const n = 10_000
	for _, tc := range []struct {
		name    string
		sources int
		answers [2][]regions.Proposal
		changes bool
	}{
		{"unchanged", 1, [2][]regions.Proposal{many(n, 0), many(n, 0)}, false},
		{"one changed", 1, [2][]regions.Proposal{many(n, 0), many(n, 1)}, true},
		{"one comes or goes", 1, [2][]regions.Proposal{many(n, 0), many(n, 0)[:n-1]}, true},
		{"all changed", 1, [2][]regions.Proposal{many(n, 0), many(n, n)}, true},
		{"one changed, two sources", 2, [2][]regions.Proposal{many(n, 0), many(n, 1)}, true},
	} {
		b.Run(tc.name, func(b *testing.B) {
			k := NewKeeper(KeeperConfig{})
			k.Configure(dawn, []ID{{Name: "a"}, {Name: "b"}}[:tc.sources])
			k.Take(dawn, "a", Answer{Nodes: tc.answers[1], Removes: true})
			k.Take(dawn, "b", Answer{Nodes: tc.answers[0], Removes: true})
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				o := k.Take(dawn.Add(time.Duration(i)), "a", Answer{Nodes: tc.answers[i%2], Removes: true})
				if o.Changed != tc.changes {
					b.Fatalf("%d: %+v", i, o)
				}
				i++
			}
		})
	}
}

// An answer that says nothing new is the rule, so it must cost next to nothing.
func TestUnchangedAllocatesLittle(t *testing.T) {
	k := NewKeeper(KeeperConfig{})
	k.Configure(dawn, []ID{{Name: "a"}})
	k.Take(dawn, "a", Answer{Nodes: many(10_000, 0)})
	same := many(10_000, 0)
	if n := testing.AllocsPerRun(10, func() { k.Take(dawn, "a", Answer{Nodes: same}) }); n > 5 {
		t.Errorf("%v allocations", n)
	}
}
