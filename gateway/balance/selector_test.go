package balance

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/quorate/quorate/regions"
)

// present is a pool at one moment.
type present struct {
	nodes   []Candidate
	exclude func(int) bool
}

func (p *present) Live(i int32) Candidate { return p.nodes[i] }

func (p *present) Excluded(i int32) bool { return p.exclude != nil && p.exclude(int(i)) }

func selectorOf(nodes []Candidate) *Selector {
	members := make([]Member, len(nodes))
	for i, n := range nodes {
		members[i] = Member{Index: int32(i), Weight: n.Weight, State: n.State}
	}
	return NewSelector(members)
}

// pick makes one desperate choice.
func pick(nodes []Candidate, rnd uint64, exclude func(int) bool) int {
	return int(selectorOf(nodes).Pick(&present{nodes, exclude}, rnd, Desperate))
}

// A normal choice leaves ill nodes and dead ones to other pools.
func TestNormalChoice(t *testing.T) {
	for _, tc := range []struct {
		name  string
		nodes []Candidate
		want  bool
	}{
		{"empty", nil, false},
		{"healthy", states(ok), true},
		{"degraded", states(deg, bad), true},
		{"all ill", states(bad, bad), false},
		{"all dead", dead(states(ok, ok), 0, 1), false},
		{"one of three alive", dead(states(ok, ok, ok), 0, 2), true},
		{"never verified", states(un), false},
	} {
		rnd := rand.New(rand.NewPCG(seed, 3))
		for range 100 {
			i := selectorOf(tc.nodes).Pick(&present{nodes: tc.nodes}, rnd.Uint64(), Normal)
			if (i >= 0) != tc.want || i >= 0 && tc.nodes[i].Dead {
				t.Errorf("%s: picked %d", tc.name, i)
				break
			}
		}
	}
}

// Whatever is excluded, dead or in slow start, a node that is left is found, and none that is not.
func TestWhatIsLeftIsFound(t *testing.T) {
	random := uint64(time.Now().UnixNano())
	t.Logf("seed %d", random)
	rnd := rand.New(rand.NewPCG(random, 1))
	for range 3000 {
		nodes := make([]Candidate, 1+rnd.IntN(60))
		excluded := make([]bool, len(nodes))
		left, normal := 0, 0
		healthy, known := 0, 0
		for i := range nodes {
			nodes[i] = Candidate{State: regions.State(rnd.IntN(4)), Weight: 1 + rnd.Int32N(1000), Dead: rnd.IntN(3) == 0, Ramp: float32(rnd.IntN(3)) / 2}
			excluded[i] = rnd.IntN(10) < 8
			if nodes[i].State != un {
				known++
			}
			if nodes[i].State == ok {
				healthy++
			}
			if excluded[i] || nodes[i].State == un {
				continue
			}
			left++
		}
		panicked := 2*healthy < known
		fit := 0
		for i, n := range nodes {
			if n.State == ok || n.State == deg {
				fit++
			}
			if !excluded[i] && !n.Dead && n.State != un && (panicked || n.State == ok || n.State == deg) {
				normal++
			}
		}
		if fit == 0 {
			normal = 0
		}
		p, s := &present{nodes, func(i int) bool { return excluded[i] }}, selectorOf(nodes)
		i, j := s.Pick(p, rnd.Uint64(), Desperate), s.Pick(p, rnd.Uint64(), Normal)
		if (i >= 0) != (left > 0) || i >= 0 && (excluded[i] || nodes[i].State == un) {
			t.Fatalf("desperate: %d of %d left in %+v %v", i, left, nodes, excluded)
		}
		if (j >= 0) != (normal > 0) || j >= 0 && (excluded[j] || nodes[j].Dead) {
			t.Fatalf("normal: %d of %d left in %+v %v", j, normal, nodes, excluded)
		}
	}
}

func crowd(n int) ([]Candidate, *Selector) {
	rnd := rand.New(rand.NewPCG(seed, 9))
	nodes := make([]Candidate, n)
	for i := range nodes {
		nodes[i] = Candidate{State: ok, Weight: 1 + rnd.Int32N(100), Ramp: 1, InFlight: rnd.Int64N(5), Latency: time.Duration(1 + rnd.IntN(1000))}
	}
	return nodes, selectorOf(nodes)
}

func TestPickAllocatesNothing(t *testing.T) {
	for _, n := range []int{3, 100_000} {
		nodes, s := crowd(n)
		p, rnd := &present{nodes: nodes}, uint64(1)
		if a := testing.AllocsPerRun(1000, func() { rnd++; s.Pick(p, rnd, Normal) }); a != 0 {
			t.Errorf("%d nodes: %v allocations", n, a)
		}
	}
}

// The looks at nodes that a choice takes do not grow with their number. The control is the scan, which a choice
// falls back on when nearly all are dead.
func TestWorkDoesNotGrowWithThePool(t *testing.T) {
	looks := func(n int, alive int) float64 {
		nodes, s := crowd(n)
		for i := range nodes {
			nodes[i].Dead = i >= alive
		}
		p := &counting{present: present{nodes: nodes}}
		rnd := rand.New(rand.NewPCG(seed, 2))
		for range 1000 {
			s.Pick(p, rnd.Uint64(), Normal)
		}
		return float64(p.looks) / 1000
	}
	small, large, scan := looks(10, 10), looks(100_000, 100_000), looks(10_000, 1)
	t.Logf("looks per choice: %.1f of 10 nodes, %.1f of 100000, control with one of 10000 alive: %.1f", small, large, scan)
	if large > small+1 || scan < 1000 {
		t.Error("it grows, or the test shows nothing")
	}
}

type counting struct {
	present
	looks int
}

func (c *counting) Live(i int32) Candidate { c.looks++; return c.present.Live(i) }

func BenchmarkPick(b *testing.B) {
	for name, n := range map[string]int{"10": 10, "1000": 1000, "100000": 100_000} {
		b.Run(name, func(b *testing.B) {
			nodes, s := crowd(n)
			p, rnd := &present{nodes: nodes}, uint64(0)
			b.ReportAllocs()
			for b.Loop() {
				rnd++
				s.Pick(p, mix(rnd), Normal)
			}
		})
	}
}
