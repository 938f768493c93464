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

// silences are how long followers say that the leader was silent when they had another one elected.
func silences(m *member) (all []time.Duration) {
	for line := range strings.Lines(m.lines.String()) {
		if !strings.Contains(line, "the leader is lost, its successor is elected now") {
			continue
		}
		_, rest, _ := strings.Cut(line, "silent=")
		if d, err := time.ParseDuration(strings.Fields(rest)[0]); err == nil {
			all = append(all, d)
		}
	}
	return all
}

// TestLeaderThatGivesUp has a leader hear nobody, while what it says arrives: it gives up, and says so, and the others do not
// wait for an election's time-out until they find that it is silent.
func TestLeaderThatGivesUp(t *testing.T) {
	const rounds = 4
	f := newFleet(t, "a", "b", "c")
	members := map[string]*member{}
	for _, name := range f.expect {
		members[name] = f.start(name, strategies.Voter)
	}
	for range rounds {
		f.formed(members["a"], members["b"], members["c"])
		leader := ""
		within(t, 10*time.Second, "a leader is known everywhere", func() bool {
			leader = members["a"].node.Leader()
			return leader != "" && leader == members["b"].node.Leader() && leader == members["c"].node.Leader()
		})
		rest := slices.DeleteFunc(slices.Clone(f.expect), func(name string) bool { return name == leader })
		f.net.CutStreams(func(from, to string) bool { return from == leader || to == leader })
		within(t, 10*time.Second, "another leads", func() bool {
			l := members[rest[0]].node.Leader()
			return l != "" && l != leader && l == members[rest[1]].node.Leader()
		})
		f.net.CutStreams(nil)
	}
	const timeout = 500 * time.Millisecond // of elections, at this distance
	var all []time.Duration
	for _, m := range members {
		all = append(all, silences(m)...)
	}
	soon := len(slices.DeleteFunc(slices.Clone(all), func(d time.Duration) bool { return d >= timeout-100*time.Millisecond }))
	t.Logf("N=%d leaders gave up: successors elected after a silence of %v; %d before a time-out", rounds, all, soon)
	if soon < rounds/2 {
		t.Errorf("followers waited for a time-out in all but %d of %d", soon, rounds)
	}
}
