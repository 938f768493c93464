package discovery

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/quorate/quorate/regions"
)

var dawn = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

const (
	simRoom  = 6
	simBound = 10 * time.Minute
)

// world makes up what happens. It is small, so that names, URLs and identities collide all the time.
type world struct {
	*rand.Rand
	now     time.Time
	sources []ID
	down    map[string]time.Time // by URL: since when it fails verification
}

func newWorld(seed uint64) *world {
	return &world{Rand: rand.New(rand.NewPCG(seed, 1)), now: dawn, down: map[string]time.Time{}}
}

// step is one thing that happens; exactly one of its parts is set.
type step struct {
	now       time.Time
	source    string
	answer    *Answer
	configure []ID
	expire    bool
	restart   bool
}

func (w *world) next() step {
	w.now = w.now.Add(time.Duration(w.IntN(240)) * time.Second)
	if u := w.url(); w.IntN(3) == 0 {
		if _, is := w.down[u]; is {
			delete(w.down, u)
		} else {
			w.down[u] = w.now
		}
	}
	s := step{now: w.now}
	switch n := w.IntN(200); {
	case n == 0 || len(w.sources) == 0:
		w.sources = nil
		for _, name := range []string{"static", "consul", "dns"} {
			if w.IntN(4) > 0 {
				w.sources = append(w.sources, ID{name, fmt.Sprint(w.IntN(3))})
			}
		}
		w.Shuffle(len(w.sources), func(i, j int) { w.sources[i], w.sources[j] = w.sources[j], w.sources[i] })
		s.configure = append([]ID{}, w.sources...)
	case n == 1:
		s.restart = true
	case n < 40:
		s.expire = true
	default:
		s.source, s.answer = w.sources[w.IntN(len(w.sources))].Name, w.answer()
	}
	return s
}

func (w *world) url() string { return fmt.Sprintf("https://10.0.0.%d:80/mcp", w.IntN(8)) }

func (w *world) answer() *Answer {
	a := &Answer{Removes: w.IntN(3) == 0, Voices: []Voice{{Who: "x", Agree: true}, {Who: "y", Agree: w.IntN(4) > 0}}}
	switch w.IntN(10) {
	case 0:
		a.Err = errors.New("timeout")
		return a
	case 1:
		a.Removes = a.Removes && w.IntN(4) == 0
		return a
	}
	for range w.IntN(8) {
		u := w.url()
		p := regions.Proposal{URL: u, ID: regions.NodeID("n" + u[15:16]), Weight: 1 + w.IntN(2), Service: "s"}
		if w.IntN(12) == 0 {
			p.ID = regions.NodeID(fmt.Sprintf("n%d", w.IntN(8)))
		}
		if w.IntN(12) == 0 {
			p.Identity.SPIFFE = fmt.Sprintf("spiffe://example.org/%d", w.IntN(2))
		}
		a.Nodes = append(a.Nodes, p)
	}
	return a
}

// machine is what the simulation drives: a Keeper, or a broken one.
type machine interface {
	Configure(at time.Time, sources []ID) Outcome
	Restore(at time.Time, kept []Restored) Outcome
	Take(at time.Time, source string, a Answer) Outcome
	Expire(now time.Time, failing func(regions.NodeID) (time.Time, bool)) Outcome
	Nodes() []regions.Proposal
	Status() Status
}

// apply does s to m, and returns the machine as it then is.
func (w *world) apply(m machine, s step, anew func() machine) (machine, Outcome) {
	switch {
	case s.answer != nil:
		return m, m.Take(s.now, s.source, *s.answer)
	case s.configure != nil:
		return m, m.Configure(s.now, s.configure)
	case s.expire:
		return m, m.Expire(s.now, w.failing(m.Nodes()))
	}
	var kept []Restored
	for _, n := range m.Status().Nodes {
		r := Restored{Proposal: n.Proposal}
		for _, h := range n.Holders {
			r.Sources = append(r.Sources, h.Source)
		}
		kept = append(kept, r)
	}
	if w.IntN(3) == 0 && len(w.sources) > 0 {
		w.sources[0].Name, w.sources[0].Key = "renamed", "0"
	}
	m = anew()
	m.Configure(s.now, w.sources)
	return m, m.Restore(s.now, kept)
}

func (w *world) failing(nodes []regions.Proposal) func(regions.NodeID) (time.Time, bool) {
	return func(id regions.NodeID) (time.Time, bool) {
		for _, n := range nodes {
			if n.ID == id {
				since, is := w.down[n.URL]
				return since, is
			}
		}
		return time.Time{}, false
	}
}

func simulate(seed uint64, n int, anew func() machine, until string) *referee {
	w, r := newWorld(seed), newReferee()
	m := anew()
	before := m.Status()
	for i := range n {
		s := w.next()
		var o Outcome
		m, o = w.apply(m, s, anew)
		before = r.judge(w, s, before, m, o)
		if until != "" && r.broken[until] > 0 {
			r.example[until] = fmt.Sprintf("after %d steps: %s", i+1, r.example[until])
			break
		}
	}
	return r
}

func sound() machine { return NewKeeper(KeeperConfig{MaxNodes: simRoom, Bound: simBound}) }

// TestSimulation makes a million steps and more over seeds that are always tried, one of which has found something (a
// source that came later did not begin the wait for it anew), and two that never were.
func TestSimulation(t *testing.T) {
	for _, seed := range []uint64{1, 2, 5739473234483901014, rand.Uint64(), rand.Uint64()} {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			r := simulate(seed, steps/4, sound, "")
			for rule, n := range r.broken {
				t.Errorf("%s: broken %d times: %s", rule, n, r.example[rule])
			}
			t.Logf("seed %d, N=%d steps in %s: none of the rules broken; seen: %v", seed, steps/4, time.Since(began).Round(time.Millisecond), r.seen)
			for _, what := range []string{"joined", "deregistered", "expired", "held by two", "conflict", "no room", "retired", "disk", "stale", "no longer named", "id moved"} {
				if r.seen[what] < steps/100_000 {
					t.Errorf("%q was seen %d times: the simulation does not get there", what, r.seen[what])
				}
			}
		})
	}
}

// twisted is a Keeper with something done to what goes in or comes out.
type twisted struct {
	*Keeper
	answer func(*Answer)
	expire func(func(regions.NodeID) (time.Time, bool)) func(regions.NodeID) (time.Time, bool)
	nodes  func([]regions.Proposal) []regions.Proposal
}

func (m *twisted) Take(at time.Time, source string, a Answer) Outcome {
	if m.answer != nil {
		m.answer(&a)
	}
	return m.Keeper.Take(at, source, a)
}

func (m *twisted) Expire(now time.Time, failing func(regions.NodeID) (time.Time, bool)) Outcome {
	if m.expire != nil {
		failing = m.expire(failing)
	}
	return m.Keeper.Expire(now, failing)
}

func (m *twisted) Nodes() []regions.Proposal {
	if m.nodes != nil {
		return m.nodes(m.Keeper.Nodes())
	}
	return m.Keeper.Nodes()
}

// TestControls breaks one rule at a time; the referee must find every one, or it could not be believed where it
// finds nothing.
func TestControls(t *testing.T) {
	keeper := func() *Keeper { return NewKeeper(KeeperConfig{MaxNodes: simRoom, Bound: simBound}) }
	for what, tc := range map[string]struct {
		anew  func() machine
		finds string
	}{
		"empty answers remove": {func() machine {
			return &twisted{Keeper: keeper(), answer: func(a *Answer) { a.Removes = a.Removes || a.Err == nil && len(a.Nodes) == 0 }}
		}, ruleLost},
		"absent nodes leave": {func() machine {
			return &twisted{Keeper: keeper(), answer: func(a *Answer) { a.Removes = true }}
		}, ruleLost},
		"a failure is an empty set": {func() machine {
			return &twisted{Keeper: keeper(), answer: func(a *Answer) {
				if a.Err != nil {
					*a = Answer{Removes: true}
				}
			}}
		}, ruleLost},
		"what verifies expires": {func() machine {
			return &twisted{Keeper: keeper(), expire: func(func(regions.NodeID) (time.Time, bool)) func(regions.NodeID) (time.Time, bool) {
				return func(regions.NodeID) (time.Time, bool) { return time.Time{}, true }
			}}
		}, ruleLost},
		"too many nodes": {func() machine { return NewKeeper(KeeperConfig{MaxNodes: simRoom + 1, Bound: simBound}) }, ruleRoom},
		"one id twice": {func() machine {
			return &twisted{Keeper: keeper(), nodes: func(all []regions.Proposal) []regions.Proposal {
				all = append([]regions.Proposal{}, all...)
				if len(all) > 1 {
					all[1].ID = all[0].ID
				}
				return all
			}}
		}, ruleUnique},
		"an answer is swallowed": {func() machine {
			n := 0
			return &twisted{Keeper: keeper(), answer: func(a *Answer) {
				if n++; n%10 == 0 && a.Err == nil {
					a.Nodes = a.Nodes[:len(a.Nodes)/2]
				}
			}}
		}, ruleHeard},
	} {
		t.Run(what, func(t *testing.T) {
			r := simulate(1, 20_000, tc.anew, tc.finds)
			if r.broken[tc.finds] == 0 {
				t.Errorf("not found in 20000 steps; found: %v", r.broken)
			}
			t.Log(r.example[tc.finds])
		})
	}
}
