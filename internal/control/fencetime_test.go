package control_test

import (
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/peer"
	"github.com/quorate/quorate/strategies"
)

// TestFenceTime measures from the end of a process until the others have applied that it is fenced, which is what the
// agents of its sessions wait for. It kills the leader and others in turn. QUORATE_FENCE_KILLS is how often.
func TestFenceTime(t *testing.T) {
	kills := 4
	if s := os.Getenv("QUORATE_FENCE_KILLS"); s != "" {
		var err error
		if kills, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	f := newFleet(t, "a", "b", "c")
	members := map[string]*member{}
	for _, name := range f.expect {
		members[name] = f.start(name, strategies.Voter)
	}
	took := map[string][]time.Duration{}
	for i := range kills {
		f.formed(members["a"], members["b"], members["c"])
		within(t, 10*time.Second, "a leader is known everywhere", func() bool {
			l := members["a"].node.Leader()
			return l != "" && l == members["b"].node.Leader() && l == members["c"].node.Leader()
		})
		for _, m := range members { // one that is killed while it is dialed again is found by its silence
			within(t, 10*time.Second, "all links are up", m.linked)
		}
		victim, what := members["a"].node.Leader(), "the leader"
		if i%2 == 1 {
			victim, what = f.expect[(slices.Index(f.expect, victim)+1)%3], "a follower"
		}
		life := members[victim].node.Life()
		began := time.Now()
		go members[victim].vanish()
		for _, name := range f.expect {
			if name != victim {
				within(t, 10*time.Second, victim+" is fenced", func() bool { return members[name].node.Ended(life) })
			}
		}
		d := time.Since(began)
		t.Logf("%s, %s, was fenced after %s", victim, what, d.Round(time.Millisecond))
		took[what] = append(took[what], d)
		within(t, 10*time.Second, "it is gone", func() bool { return members[victim].vanished() })
		members[victim] = f.start(victim, strategies.Voter)
	}
	for what, all := range took {
		slices.Sort(all)
		if at(all, 50) > unhurried {
			t.Errorf("the end of %s is found as late as by its silence", what)
		}
		t.Logf("N=%d kills of %s: fenced after p50 %s, p99 %s", len(all), what, at(all, 50), at(all, 99))
	}
}

// unhurried is less than a fence takes where only silence tells: a promise of 800 ms and an interval, told and looked at
// once in an interval each.
const unhurried = 1200 * time.Millisecond

// linked reports whether every remote of a member is up.
func (m *member) linked() bool {
	links := m.peers.Links()
	return len(links) > 0 && !slices.ContainsFunc(links, func(l peer.Link) bool { return !l.Up })
}

// at returns a percentile of sorted durations.
func at(all []time.Duration, percent int) time.Duration {
	return all[min(len(all)-1, len(all)*percent/100)].Round(time.Millisecond)
}
