package regions

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"
)

const (
	manyRegions = 50
	perRegion   = 2000
)

// large is one service with 2,000 nodes in each of 50 regions. releases is how many different sets of facts
// there are; 0 gives every node facts and a list of tools of its own.
func large(releases int) Input {
	facts := func(i int) *Facts {
		f := &Facts{Eras: Legacy | Modern, Stateful: true, Versions: []string{"2026-07-28"}, Tools: map[string]Tool{}, Groups: []string{"tool_servers"}}
		for t := range 20 {
			f.Tools[fmt.Sprintf("tool_%d", t)] = Tool{ReadOnly: (t+i)%2 == 0}
		}
		return f
	}
	var shared []*Facts
	for i := range releases {
		shared = append(shared, facts(i))
	}
	in := Input{Region: "region-0", Services: []ServiceInput{{Name: "tools", Path: "/mcp"}}}
	s := &in.Services[0]
	for r := range manyRegions {
		name := fmt.Sprintf("region-%d", r)
		in.Regions = append(in.Regions, Region{Name: name, RTT: time.Duration(r) * time.Millisecond, Class: DefaultBounds().Of(time.Duration(r) * time.Millisecond), Share: 1})
		for n := range perRegion {
			node := Node{Proposal: Proposal{ID: NodeID(fmt.Sprintf("%s-node-%d", name, n)), Service: "tools", Region: name, Source: "static", Weight: 1,
				URL: fmt.Sprintf("http://10.%d.%d.%d:9001/mcp", r, n/250, n%250)}}
			node.State = Healthy
			if releases > 0 {
				node.Facts = shared[n%releases]
			} else {
				node.Facts = facts(n)
			}
			s.Nodes = append(s.Nodes, node)
		}
	}
	return in
}

func TestLargeTable(t *testing.T) {
	in := large(3)
	table, err := Build(in)
	if err != nil {
		t.Fatal(err)
	}
	s := table.ByName["tools"]
	if len(s.Nodes) != manyRegions*perRegion || len(s.Pools) != manyRegions || s.Pools[49].To != len(s.Nodes) || s.Node("region-49-node-1999") == nil {
		t.Fatalf("%d nodes, %d pools", len(s.Nodes), len(s.Pools))
	}
	next := in
	next.Previous = table
	if n := testing.AllocsPerRun(1, func() { _, err = Build(next) }); n > 5000 || err != nil {
		t.Errorf("%v allocations for 100000 nodes, %v", n, err)
	}
}

// BenchmarkBuild's bar, judged with JUDGE_TIMES set: 100 ms for 50 regions of 2,000 nodes, the first time and again, where
// nodes of one release share their list of tools, as verification lets them. Where every node's list is held apart,
// which takes more than eight different lists, it is only printed.
func BenchmarkBuild(b *testing.B) {
	for _, tc := range []struct {
		name     string
		releases int
		again    bool
	}{{"first, 3 releases", 3, false}, {"again, 3 releases", 3, true}, {"first, facts of their own", 0, false}, {"again, facts of their own", 0, true}} {
		b.Run(tc.name, func(b *testing.B) {
			in := large(tc.releases)
			if tc.again {
				table, err := Build(in)
				if err != nil {
					b.Fatal(err)
				}
				in.Previous = table
			}
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			kept, err := Build(in)
			if err != nil {
				b.Fatal(err)
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			for b.Loop() {
				if _, err := Build(in); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(manyRegions*perRegion), "B/node")
			took := b.Elapsed() / time.Duration(b.N)
			b.ReportMetric(float64(took.Microseconds())/1000, "ms/op")
			if os.Getenv("JUDGE_TIMES") != "" && tc.releases > 0 && took > 100*time.Millisecond {
				b.Errorf("%s for a table, bar 100ms", took)
			}
			runtime.KeepAlive(kept)
		})
	}
}
