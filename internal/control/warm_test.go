package control_test

import (
	"slices"
	"testing"
	"time"

	"github.com/quorate/quorate/strategies"
)

// TestWarmWays cuts the two followers of a leader from each other and heals that: they have nothing to say to each other until
// the leader is lost, and have a stream for it all the same.
func TestWarmWays(t *testing.T) {
	f := newFleet(t, "a", "b", "c")
	members := map[string]*member{}
	for _, name := range f.expect {
		members[name] = f.start(name, strategies.Voter)
	}
	f.formed(members["a"], members["b"], members["c"])
	within(t, 10*time.Second, "a leader is known", func() bool { return members["a"].node.Leader() != "" })
	leader := members["a"].node.Leader()
	rest := slices.DeleteFunc(slices.Clone(f.expect), func(name string) bool { return name == leader })
	f.partition([]string{leader, rest[0]}, []string{leader, rest[1]})
	if f.net.Streamed(rest[0], rest[1]) {
		t.Fatal("the cut has left a stream")
	}
	wait(t.Context(), 1500*time.Millisecond) // longer than their looks are apart: the ways count as lost
	f.partition()
	within(t, 15*time.Second, "there is a stream between the followers", func() bool { return f.net.Streamed(rest[0], rest[1]) })
	if now := members["a"].node.Leader(); now != leader {
		t.Logf("an election came between: %s, then %s", leader, now)
	}
}
