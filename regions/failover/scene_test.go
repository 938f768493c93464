package failover

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/quorate/quorate/regions"
)

var dawn = time.Unix(1_800_000_000, 0)

// place is what is true of a region in a scene.
type place struct {
	cut    bool    // no answer from here
	breaks bool    // the breaker is open
	health float64 // part of its nodes
	load   Load
	blind  bool // not checked at all
}

// scene is a fleet seen from us, with eu and ap, run at one tick per second: a check every five seconds
// and, right after it, the opinions of other gateways that says holds.
type scene struct {
	t     testing.TB
	f     Fleet
	now   time.Time
	at    map[string]*place
	says  map[string]map[string]bool // gateway "REGION/NAME" -> region -> failing
	told  []Effect
	turns int
}

func newScene(t testing.TB, cfg Config, others ...string) *scene {
	t.Helper()
	f, err := New(cfg, "us", others, dawn)
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{t: t, f: f, now: dawn, at: map[string]*place{}, says: map[string]map[string]bool{}}
	for _, name := range append([]string{"us"}, others...) {
		s.at[name] = &place{health: 1}
	}
	return s
}

func (s *scene) step(e Event) {
	var effects []Effect
	s.f, effects = Step(s.f, s.now, e)
	s.told = append(s.told, effects...)
}

// say lets a gateway hold from now on that the regions fail, and that all others do not.
func (s *scene) say(from, gateway string, failing ...string) {
	opinions := map[string]bool{}
	for name := range s.at {
		opinions[name] = slices.Contains(failing, name)
	}
	s.says[from+"/"+gateway] = opinions
}

func (s *scene) run(d time.Duration) {
	for range int(d / time.Second) {
		s.now = s.now.Add(time.Second)
		s.turns++
		if s.turns%5 == 0 {
			s.look()
		}
		s.step(Tick{})
		sum := 0.0
		for _, w := range s.f.Weights() {
			sum += w
		}
		if math.Abs(sum-1) > 1e-9 {
			s.t.Fatalf("weights sum to %v", sum)
		}
	}
}

func (s *scene) look() {
	for name, p := range s.at {
		p.load.Region = name
		s.step(p.load)
		if !p.blind {
			s.step(Check{Region: name, Reachable: !p.cut, BreakerOpen: p.breaks, Health: p.health})
		}
	}
	for who, opinions := range s.says {
		from, gateway := who[:2], who[3:]
		for name, failing := range opinions {
			s.step(Report{Region: name, From: from, Gateway: gateway, Failing: failing})
		}
	}
}

// until runs until the region is in the state, and returns how long that took.
func (s *scene) until(name string, state regions.RegionState, most time.Duration) time.Duration {
	s.t.Helper()
	began := s.now
	for s.f.State(name) != state {
		if s.now.Sub(began) > most {
			s.t.Fatalf("%s is still %s after %s, not %s: %s\n%v", name, s.f.State(name), most, state, s.f.Cause(name), s.told)
		}
		s.run(time.Second)
	}
	return s.now.Sub(began)
}

func (s *scene) want(name string, state regions.RegionState, share float64, cause string) {
	s.t.Helper()
	if got := s.f.State(name); got != state || math.Abs(s.f.Share(name)-share) > 1e-6 || s.f.Cause(name) != cause {
		s.t.Errorf("%s is %s with %.3f (%s), want %s with %.3f (%s)", name, got, s.f.Share(name), s.f.Cause(name), state, share, cause)
	}
}

// count is how often a region has come into the state.
func (s *scene) count(name string, to regions.RegionState) (n int) {
	for _, e := range s.told {
		n += one(e.Region == name && e.Changed() && e.To == to)
	}
	return n
}

var version uint64

func (s *scene) order(name string, state OrderState, over time.Duration) {
	version++
	s.step(Order{Region: name, State: state, Over: over, By: "alice", Version: version, Gateway: "us/gw"})
}

// lose makes eu fail for everybody.
func (s *scene) lose() {
	s.at["eu"].cut = true
	s.say("ap", "gw-ap", "eu")
	delete(s.says, "eu/gw-eu")
}

// regain ends that.
func (s *scene) regain() {
	s.at["eu"].cut = false
	s.say("ap", "gw-ap")
	s.say("eu", "gw-eu")
}
