package failover

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/regions"
)

// machine is what the simulations drive: the fleet, or one of the broken ones of controls_test.go.
type machine interface {
	Step(now time.Time, e Event) []Effect
	Regions() []Status
	Weights() map[string]float64
}

// sound is the real one.
type sound struct{ f Fleet }

func (m *sound) Step(now time.Time, e Event) (effects []Effect) {
	m.f, effects = Step(m.f, now, e)
	return effects
}
func (m *sound) Regions() []Status           { return m.f.Regions() }
func (m *sound) Weights() map[string]float64 { return m.f.Weights() }

var simNames = []string{"r0", "r1", "r2", "r3"}

// simulate makes n steps, or stops at the first breach of the rule.
func simulate(m machine, seed uint64, n int, until string) (*referee, map[string]int) {
	w, r := newWorld(seed, simNames), newReferee(simNames[0], simNames, m)
	seen := map[string]int{}
	for i := range n {
		now, e := w.next()
		r.learn(now, e)
		effects := m.Step(now, e)
		for _, f := range effects {
			if f.Changed() {
				seen[f.To.String()]++
			}
			for word, means := range map[string]string{"confirmed by": "evacuated by automation", "held at": "held", "nothing took": "panic", "refused": "refused"} {
				if strings.Contains(f.Cause, word) && f.Changed() == (word == "confirmed by" || word == "nothing took") && f.To != regions.Off {
					seen[means]++
				}
			}
		}
		r.judge(m, e, effects)
		if until != "" && r.broken[until] > 0 {
			r.example[until] = fmt.Sprintf("after %d steps: %s", i+1, r.example[until])
			break
		}
	}
	return r, seen
}

func newSound(t testing.TB, cfg Config) *sound {
	f, err := New(cfg, simNames[0], simNames[1:], dawn)
	if err != nil {
		t.Fatal(err)
	}
	return &sound{f}
}

// seeds are two that are always tried, one that found a bug, and one that never was tried.
func seeds() []uint64 { return []uint64{1, 2, 9622741163618752909, rand.Uint64()} }

func TestSimulation(t *testing.T) {
	for _, seed := range seeds() {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			r, seen := simulate(newSound(t, Config{}), seed, steps, "")
			for _, rule := range invariants {
				if r.broken[rule] > 0 {
					t.Errorf("%s: broken %d times: %s", rule, r.broken[rule], r.example[rule])
				}
			}
			t.Logf("seed %d, N=%d steps in %s: 0 of %d invariants broken; states entered: %v", seed, steps, time.Since(began).Round(time.Millisecond), len(invariants), seen)
			for _, state := range []string{"on", "degraded", "evacuating", "off", "recovering", "evacuated by automation", "held", "panic", "refused"} {
				if seen[state] < steps/100_000 {
					t.Errorf("%s was entered %d times: the simulation does not get there", state, seen[state])
				}
			}
		})
	}
}
