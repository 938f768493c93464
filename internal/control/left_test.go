package control_test

import (
	"testing"
	"time"

	"github.com/quorate/quorate/strategies"
)

// One of three is forced. The two others return together with their old disks: they are a majority of the old rule and
// help each other to nothing, nor do they after a restart without the third.
func TestLeftBehind(t *testing.T) {
	f, c := forced(t)
	a, b := f.start("a", strategies.Voter), f.start("b", strategies.Voter)
	for _, m := range []*member{a, b} {
		within(t, 5*time.Second, m.name+" says what to run", func() bool { return containsAll(m.lines.String(), "gone on without", "quorate rejoin") })
	}
	silent(t, a, b)
	a.vanish()
	b.vanish()
	c.vanish()
	silent(t, f.start("a", strategies.Voter), f.start("b", strategies.Voter))
}

// silent looks for longer than two voters take to elect, fence and join.
func silent(t *testing.T, members ...*member) {
	t.Helper()
	tick, end := time.NewTicker(5*time.Millisecond), time.After(5*time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-end:
			return
		}
		for _, m := range members {
			if m.node.Allow() || m.node.Leader() != "" {
				t.Fatalf("%s may write: %t, leader %q", m.name, m.node.Allow(), m.node.Leader())
			}
		}
	}
}

// Nodes are told an epoch from the first write on: one without any passes them all, also when its gateway has slept.
func TestEpochFromTheBeginning(t *testing.T) {
	f := newFleet(t, "a")
	a := f.start("a", strategies.Voter)
	f.formed(a)
	if a.node.Fence() == 0 {
		t.Error("a write that names no epoch")
	}
}
