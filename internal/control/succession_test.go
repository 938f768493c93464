package control_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/strategies"
)

// TestSilentLeader cuts the leader off, again and again: the others do not wait for Raft to look, which it does once in one
// to two time-outs, but elect another when it has been silent for one.
func TestSilentLeader(t *testing.T) {
	const rounds = 4
	f := newFleet(t, "a", "b", "c")
	members := map[string]*member{}
	for _, name := range f.expect {
		members[name] = f.start(name, strategies.Voter)
	}
	var took []time.Duration
	for range rounds {
		f.formed(members["a"], members["b"], members["c"])
		within(t, 10*time.Second, "a leader is known everywhere", func() bool {
			l := members["a"].node.Leader()
			return l != "" && l == members["b"].node.Leader() && l == members["c"].node.Leader()
		})
		leader := members["a"].node.Leader()
		rest := slices.DeleteFunc(slices.Clone(f.expect), func(name string) bool { return name == leader })
		began := time.Now()
		f.partition([]string{leader}, rest)
		within(t, 10*time.Second, "another leads", func() bool {
			l := members[rest[0]].node.Leader()
			return l != "" && l != leader && l == members[rest[1]].node.Leader()
		})
		took = append(took, time.Since(began))
		f.partition()
	}
	hasty, suspected := 0, 0
	for _, m := range members {
		suspected += strings.Count(m.lines.String(), "the leader before this one is suspected at once")
		hasty += strings.Count(m.lines.String(), "the leader is lost, its successor is elected now")
	}
	slices.Sort(took)
	t.Logf("N=%d cuts: another leads after p50 %s, at most %s; %d times a follower did not wait for Raft, %d times the former was suspected at once", rounds, at(took, 50), at(took, 100), hasty, suspected)
	// Raft's own look may happen to come first now and then.
	if hasty < rounds/2 {
		t.Errorf("followers waited for Raft in all but %d of %d cuts", hasty, rounds)
	}
}
