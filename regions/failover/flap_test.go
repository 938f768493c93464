package failover

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/quorate/quorate/regions"
)

// flap is ten minutes in which a region is down and up in turn, then ten in which it is well; everybody
// sees it, each with checks at moments of its own.
type flap struct {
	down, up time.Duration
	rnd      *rand.Rand
	phase    map[string]int
	bad      map[string]int
	failing  map[string]bool
}

func newFlap(down, up time.Duration, rnd *rand.Rand) *flap {
	p := &flap{down: down, up: up, rnd: rnd, phase: map[string]int{}, bad: map[string]int{}, failing: map[string]bool{}}
	for _, n := range simNames {
		p.phase[n] = rnd.IntN(5)
	}
	return p
}

func (p *flap) alive(at time.Duration) bool {
	return at >= 10*time.Minute || at%(p.down+p.up) >= p.down
}

// run returns the evacuations of the region that flaps and of all others, and the steps that it took.
func (p *flap) run(m machine) (evacuations, others, steps int) {
	step := func(now time.Time, e Event) {
		steps++
		for _, f := range m.Step(now, e) {
			if f.Changed() && f.To == regions.Evacuating {
				evacuations += one(f.Region == "r1")
				others += one(f.Region != "r1")
			}
		}
	}
	for at := time.Duration(0); at < 20*time.Minute; at += time.Second {
		now := dawn.Add(at)
		for _, from := range simNames {
			if (int(at/time.Second)+p.phase[from])%5 != 0 {
				continue
			}
			for _, to := range simNames {
				up := (to != "r1" || p.alive(at)) && p.rnd.IntN(500) > 0
				if from == "r0" {
					step(now, Check{Region: to, Reachable: up, Health: 1})
					continue
				}
				if p.bad[from+to]++; up {
					p.bad[from+to] = 0
				}
				if from != "r1" || p.alive(at) {
					step(now, Report{Region: to, From: from, Gateway: "gw", Failing: p.bad[from+to] >= 3})
				}
			}
		}
		step(now, Tick{})
	}
	return evacuations, others, steps
}

// flaps runs episodes of flaps of about half a period, and returns how many of them had 0, 1 or more
// evacuations.
func flaps(t testing.TB, cfg Config, half time.Duration, seed uint64, n int) (none, once, more, worst int) {
	rnd := rand.New(rand.NewPCG(seed, uint64(half)))
	for taken := 0; taken < n; {
		about := func() time.Duration { return half * time.Duration(80+rnd.IntN(41)) / 100 }
		evacuations, others, steps := newFlap(about(), about(), rnd).run(newSound(t, cfg))
		taken += steps
		if others > 0 {
			t.Errorf("seed %d: a region that is well was evacuated", seed)
		}
		worst = max(worst, evacuations)
		switch evacuations {
		case 0:
			none++
		case 1:
			once++
		default:
			more++
		}
	}
	return none, once, more, worst
}

// A region that is up and down every 20 s for 10 min is evacuated once at most.
func TestFlap(t *testing.T) {
	for _, seed := range seeds() {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			none, once, more, worst := flaps(t, Config{}, 20*time.Second, seed, steps)
			t.Logf("seed %d, N=%d steps in %s, flaps of 20s: %d times no evacuation, %d times one, %d times more (at most %d)",
				seed, steps, time.Since(began).Round(time.Millisecond), none, once, more, worst)
			if more > 0 || once == 0 {
				t.Error("want at most one, and some")
			}
			none, once, more, worst = flaps(t, Config{HoldDown: time.Millisecond, MaxHoldDown: time.Millisecond}, 20*time.Second, seed, steps/20)
			t.Logf("seed %d, control without a hold-down: %d times no evacuation, %d times one, %d times more (at most %d)", seed, none, once, more, worst)
			if more == 0 {
				t.Error("the control does not flap")
			}
		})
	}
}

// Flaps of other lengths, and what they cause.
func TestFlapLengths(t *testing.T) {
	seed := rand.Uint64()
	for _, half := range []time.Duration{time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute} {
		none, once, more, worst := flaps(t, Config{}, half, seed, steps/20)
		t.Logf("seed %d, flaps of %s: %d times no evacuation, %d times one, %d times more (at most %d)", seed, half, none, once, more, worst)
		if worst > 2 {
			t.Errorf("flaps of %s: %d evacuations in 10 min", half, worst)
		}
	}
}

// All regions but this one flap in turn, so that panic and hold-downs meet.
func TestSeesaw(t *testing.T) {
	s := newScene(t, Config{}, "eu")
	for i := range 60 {
		down, up := "us", "eu"
		if i%2 == 0 {
			down, up = up, down
		}
		s.at[down].health, s.at[up].health = 0, 1
		s.say("eu", "gw-eu")
		s.run(5 * time.Second)
		s.say("eu", "gw-eu", down)
		s.run(15 * time.Second)
	}
	n := s.count("us", regions.Evacuating) + s.count("eu", regions.Evacuating)
	t.Logf("a seesaw of 20 s for 20 min: %d evacuations", n)
	if n > 2 {
		t.Errorf("%v", s.told)
	}
}
