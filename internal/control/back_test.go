package control_test

import (
	"slices"
	"testing"
	"time"

	"github.com/quorate/quorate/strategies"
)

// TestBackAtOnce cuts a follower off for so long that Raft, left to itself, would leave it alone for another five seconds.
// It has what was committed meanwhile a moment after it is back.
func TestBackAtOnce(t *testing.T) {
	f := newFleet(t, "a", "b", "c")
	members := map[string]*member{}
	for _, name := range f.expect {
		members[name] = f.start(name, strategies.Voter)
	}
	f.formed(members["a"], members["b"], members["c"])
	leader := members["a"].node.Leader()
	rest := slices.DeleteFunc(slices.Clone(f.expect), func(name string) bool { return name == leader })
	away := members[rest[0]]
	f.partition([]string{leader, rest[1]}, []string{rest[0]})
	end := time.NewTimer(5500 * time.Millisecond)
	defer end.Stop()
	var want uint64
	for cut := true; cut; {
		want = members[leader].add(t, 1)
		select {
		case <-end.C:
			cut = false
		case <-time.After(100 * time.Millisecond):
		}
	}
	if got := away.log.value(); got == want {
		t.Fatal("control: it was not away")
	}
	f.partition()
	took := within(t, 10*time.Second, rest[0]+" has what was committed", func() bool { return away.log.value() == want })
	t.Logf("%d entries later it has all of them after %s", want, took.Round(time.Millisecond))
	if took > 2*time.Second {
		t.Errorf("it was left alone for %s", took)
	}
}
