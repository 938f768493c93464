package balance

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/quorate/quorate/regions"
)

const (
	un, ok, deg, bad = regions.Unknown, regions.Healthy, regions.Degraded, regions.Unhealthy
	seed             = 20260728
)

func states(s ...regions.State) (out []Candidate) {
	for _, st := range s {
		out = append(out, Candidate{State: st, Weight: 1})
	}
	return out
}

func dead(c []Candidate, at ...int) []Candidate {
	for _, i := range at {
		c[i].Dead = true
	}
	return c
}

// spread picks n times and returns how often each node was picked; -1 is counted at the end.
func spread(t testing.TB, nodes []Candidate, n int, exclude func(int) bool) []int {
	t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 1))
	out := make([]int, len(nodes)+1)
	for range n {
		i := pick(nodes, rnd.Uint64(), exclude)
		if i < 0 {
			i = len(nodes)
		}
		out[i]++
	}
	return out
}

// Which nodes are picked at all, and in which order when each picked one is excluded afterwards.
func TestTiers(t *testing.T) {
	for _, tc := range []struct {
		name  string
		nodes []Candidate
		want  string // tiers in order, nodes within one in index order: "02|1"; leftovers are never picked
	}{
		{"none", nil, ""},
		{"all healthy", states(ok, ok, ok), "012"},
		{"never verified", states(un, un), ""},
		{"unknown takes no traffic", states(ok, un, ok), "02"},
		{"degraded after healthy", states(deg, ok, ok), "12|0"},
		{"unhealthy after degraded", states(bad, ok, ok, deg, ok, ok), "1245|3|0"},
		{"the dead after the unhealthy", dead(states(bad, ok, bad, ok, ok, ok), 0), "1345|2|0"},
		{"exactly half healthy is no panic", states(ok, bad), "0|1"},
		{"panic: all but the dead", states(ok, bad, bad), "012"},
		{"panic: degraded too", states(deg, bad, ok, deg), "0123"},
		{"panic: the dead after all others", dead(states(ok, bad, bad), 1), "02|1"},
		{"unknown nodes do not count for panic", states(ok, un, un, un, bad), "0|4"},
		{"the last node is never ejected", states(bad), "0"},
		{"the last node, dead", dead(states(bad), 0), "0"},
		{"all dead", dead(states(bad, bad, bad), 0, 1, 2), "012"},
		{"a dead node is not healthy, whatever its checks said", dead(states(ok, ok, ok), 0, 2), "1|02"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tried := map[int]bool{}
			got := ""
			for {
				counts := spread(t, tc.nodes, 400, func(i int) bool { return tried[i] })
				tier := ""
				for i, n := range counts[:len(tc.nodes)] {
					if n > 0 {
						tier += fmt.Sprint(i)
						tried[i] = true
					}
				}
				if tier == "" {
					break
				}
				if got != "" {
					got += "|"
				}
				got += tier
			}
			if got != tc.want {
				t.Errorf("order %q, want %q", got, tc.want)
			}
		})
	}
}

func TestShares(t *testing.T) {
	w := func(weight int32, ramp float32) Candidate {
		return Candidate{State: ok, Weight: weight, Ramp: ramp, Latency: time.Millisecond}
	}
	for _, tc := range []struct {
		name  string
		nodes []Candidate
		want  []float64
	}{
		{"equal", []Candidate{w(1, 0), w(1, 1), w(1, 1)}, []float64{1. / 3, 1. / 3, 1. / 3}},
		{"one to three", []Candidate{w(1, 1), w(3, 1)}, []float64{.25, .75}},
		{"weight 0 counts as 1", []Candidate{w(0, 1), w(1, 1)}, []float64{.5, .5}},
		{"slow start", []Candidate{w(1, .1), w(1, 1)}, []float64{.1 / 1.1, 1 / 1.1}},
		{"alone in slow start", []Candidate{w(1, .1)}, []float64{1}},
		{"latency not known is neither fast nor slow", []Candidate{{State: ok}, w(1, 1)}, []float64{.5, .5}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			const n = 20_000
			counts := spread(t, tc.nodes, n, nil)
			for i, want := range tc.want {
				if got := float64(counts[i]) / n; got < want-.02 || got > want+.02 {
					t.Errorf("node %d gets %.3f, want %.3f", i, got, want)
				}
			}
		})
	}
}

func TestCost(t *testing.T) {
	const ms = time.Millisecond
	c := func(weight int32, inFlight int64, latency time.Duration) Candidate {
		return Candidate{State: ok, Weight: weight, InFlight: inFlight, Latency: latency}
	}
	for _, tc := range []struct {
		name string
		a, b Candidate
		want string // a, b, or = for a tie
	}{
		{"fewer in flight", c(1, 3, ms), c(1, 2, ms), "b"},
		{"faster", c(1, 0, 2*ms), c(1, 0, ms), "b"},
		{"a little faster is a tie", c(1, 0, 11*ms), c(1, 0, 10*ms), "="},
		{"in flight per weight", c(1, 2, ms), c(4, 4, ms), "b"},
		{"in flight, latency not known", c(1, 0, 0), c(1, 5, ms), "a"},
		{"a slow call does not banish", c(1, 0, time.Minute), c(1, 20, ms), "a"},
		{"slow, the other one idle", c(1, 0, time.Minute), c(1, 0, ms), "b"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			counts := spread(t, []Candidate{tc.a, tc.b}, 200, nil)
			got := "="
			if counts[0] == 0 {
				got = "b"
			} else if counts[1] == 0 {
				got = "a"
			}
			if got != tc.want {
				t.Errorf("picked %s, want %s (%v)", got, tc.want, counts)
			}
		})
	}
}

// A closed loop of calls in which one node is ten times slower: in-flight calls pile up there, and the
// others must take over, yet it is not cut off.
func TestSlowNodeGetsLess(t *testing.T) {
	rnd := rand.New(rand.NewPCG(seed, 2))
	t.Logf("seed %d", seed)
	service := []time.Duration{time.Millisecond, time.Millisecond, 10 * time.Millisecond}
	nodes := states(ok, ok, ok)
	ewma := make([]EWMA, 3)
	served := make([]int, 3)
	type call struct {
		node int
		ends time.Duration
	}
	var calls []call
	for tick := time.Duration(0); tick < 5*time.Second; tick += 100 * time.Microsecond {
		now := time.UnixMilli(1_800_000_000_000).Add(tick)
		kept := calls[:0]
		for _, c := range calls {
			if c.ends > tick {
				kept = append(kept, c)
				continue
			}
			nodes[c.node].InFlight--
			served[c.node]++
			ewma[c.node].Observe(now, service[c.node])
		}
		calls = kept
		for len(calls) < 8 {
			for i := range nodes {
				nodes[i].Latency = ewma[i].Value(now)
			}
			i := pick(nodes, rnd.Uint64(), nil)
			nodes[i].InFlight++
			calls = append(calls, call{i, tick + service[i]})
		}
	}
	if served[2] == 0 || served[2]*5 > served[0] || served[0]*2 < served[1] || served[1]*2 < served[0] {
		t.Errorf("served %v", served)
	}
}

func TestExclude(t *testing.T) {
	counts := spread(t, states(ok, ok, ok), 100, func(i int) bool { return i != 1 })
	if counts[1] != 100 {
		t.Errorf("%v", counts)
	}
	counts = spread(t, states(ok, ok, ok), 100, func(int) bool { return true })
	if counts[3] != 100 {
		t.Errorf("all excluded: %v", counts)
	}
}

func TestRamp(t *testing.T) {
	for _, tc := range []struct {
		since, window time.Duration
		want          float32
	}{
		{0, 0, 1}, {0, 10 * time.Second, 0.1}, {-time.Second, 10 * time.Second, 0.1},
		{5 * time.Second, 10 * time.Second, 0.5}, {10 * time.Second, 10 * time.Second, 1}, {time.Hour, 10 * time.Second, 1},
	} {
		if got := Ramp(tc.since, tc.window); got != tc.want {
			t.Errorf("Ramp(%v, %v) = %v, want %v", tc.since, tc.window, got, tc.want)
		}
	}
}
