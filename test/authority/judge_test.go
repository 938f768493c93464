package authority_test

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/mcpnode"
)

// judgment is what the journals say.
type judgment struct {
	effects int
	twice   []string // calls that ran more than once
	lost    []string // calls that were answered as done and are in no journal
	stale   []late   // at nodes that check fences
	passed  []late   // at nodes that do not
}

// late is an effect with an epoch lower than one before at that node.
type late struct {
	mcpnode.Entry
	after uint64
}

func (l late) String() string {
	return fmt.Sprintf("%s at %s: epoch %d after %d, by %s", l.Call, l.Node, l.Fence, l.after, l.Via)
}

// effects are the starts of writes at a node, in the order in which they were let in.
func (f *fleet) effects(n *node) []mcpnode.Entry {
	f.t.Helper()
	entries, err := mcpnode.ReadJournal(n.journal)
	if err != nil {
		f.t.Fatal(err)
	}
	begun := slices.DeleteFunc(entries, func(e mcpnode.Entry) bool {
		return e.Phase != mcpnode.PhaseStart || e.Tool != mcpnode.ToolCharge
	})
	slices.SortStableFunc(begun, func(a, b mcpnode.Entry) int { return cmp.Compare(a.Mono, b.Mono) })
	return begun
}

// judge reads every journal. acked are the writes that agents have an answer for.
func (f *fleet) judge(acked []*answer) judgment {
	f.t.Helper()
	var j judgment
	starts := map[string]int{}
	for _, n := range f.nodes {
		largest := uint64(0)
		for _, e := range f.effects(n) {
			j.effects++
			starts[e.Call]++
			if e.Fence < largest {
				j.note(n, late{e, largest})
			}
			largest = max(largest, e.Fence)
		}
	}
	for call, n := range starts {
		if n > 1 {
			j.twice = append(j.twice, call)
		}
	}
	for _, a := range acked {
		if a.good() && starts[a.id] == 0 {
			j.lost = append(j.lost, a.id)
		}
	}
	return j
}

func (j *judgment) note(n *node, what late) {
	if n.checks {
		j.stale = append(j.stale, what)
	} else {
		j.passed = append(j.passed, what)
	}
}

// hold fails the test unless every write ran at most once, none that was answered is lost, and no epoch went back at
// a node that checks.
func (f *fleet) hold(acked []*answer) judgment {
	f.t.Helper()
	j := f.judge(acked)
	if len(j.twice) > 0 || len(j.lost) > 0 || len(j.stale) > 0 {
		f.t.Errorf("of %d effects: twice %v, lost %v, stale %v", j.effects, j.twice, j.lost, j.stale)
	}
	return j
}

// by returns the effects of a gateway's writes that began within a time.
func (f *fleet) by(m *member, from, to time.Duration) (all []mcpnode.Entry) {
	for _, n := range f.nodes {
		for _, e := range f.effects(n) {
			if at := time.Duration(e.Mono); e.Via == m.name && at >= from && at < to {
				all = append(all, e)
			}
		}
	}
	return all
}
