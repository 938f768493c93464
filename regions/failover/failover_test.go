package failover

import (
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/regions"
)

const (
	here      = "3 checks failed here (out of reach)"
	confirmed = here + ", confirmed by gw-ap"
)

// The way of a region that is lost and comes back.
func TestLostAndBack(t *testing.T) {
	s := newScene(t, Config{}, "eu", "ap")
	s.say("ap", "gw-ap")
	s.say("eu", "gw-eu")
	s.run(time.Minute)
	s.want("eu", regions.On, 1, "not checked yet")

	s.lose()
	s.run(14 * time.Second)
	s.want("eu", regions.On, 1, "not checked yet")
	s.run(time.Second)
	if d := s.f.Share("eu"); s.f.State("eu") != regions.Evacuating || d > 1-1.0/6 || d < 0.7 {
		t.Fatalf("after 3 checks: %s, share %v", s.f.State("eu"), d)
	}
	took := s.until("eu", regions.Off, time.Minute)
	if took < 20*time.Second || took > 30*time.Second {
		t.Errorf("evacuated in %s, not gradually over 30s", took)
	}
	s.want("eu", regions.Off, 0, "evacuated: "+confirmed)
	if w := s.f.Weights(); w["eu"] != 0 || w["us"] != 0.5 || w["ap"] != 0.5 {
		t.Errorf("weights %v", w)
	}

	s.run(time.Hour) // however long it lasts, the hold-down begins when it is well
	s.regain()
	took = s.until("eu", regions.Recovering, time.Hour)
	if took < 5*time.Minute || took > 5*time.Minute+15*time.Second {
		t.Errorf("held down for %s", took)
	}
	if s.f.Cause("eu") != "hold-down of 5m0s over" {
		t.Errorf("cause %q", s.f.Cause("eu"))
	}
	s.run(30 * time.Second)
	if share := s.f.Share("eu"); share < 0.48 || share > 0.53 {
		t.Errorf("share %v half way up the ramp", share)
	}
	if took = 30*time.Second + s.until("eu", regions.On, time.Hour); took < 59*time.Second || took > 61*time.Second {
		t.Errorf("ramp of %s", took)
	}
	s.want("eu", regions.On, 1, "all of its traffic is back")
	for _, e := range s.told {
		t.Log(e)
	}
}

// What must not be evacuated, and what it is then.
func TestNotEvacuated(t *testing.T) {
	for name, tc := range map[string]struct {
		others []string
		arm    func(*scene)
		state  regions.RegionState
		share  float64
		cause  string
	}{
		"a cut link: nobody confirms": {[]string{"eu", "ap"}, func(s *scene) {
			s.at["eu"].cut = true
			s.say("ap", "gw-ap")
		}, regions.DegradedRegion, floor, here + ", not confirmed by enough other regions"},
		"a cut link and nobody else to ask": {[]string{"eu", "ap"}, func(s *scene) {
			s.at["eu"].cut = true
		}, regions.DegradedRegion, floor, here + ", not confirmed by enough other regions"},
		"two gateways of this region behind one cut link": {[]string{"eu", "ap"}, func(s *scene) {
			s.at["eu"].cut = true
			s.say("us", "gw-us2", "eu")
			s.say("ap", "gw-ap")
		}, regions.DegradedRegion, floor, here + ", not confirmed by enough other regions"},
		"the other gateway of this region sees it well": {[]string{"eu", "ap"}, func(s *scene) {
			s.at["eu"].cut = true
			s.say("us", "gw-us2")
			s.say("ap", "gw-ap", "eu")
		}, regions.DegradedRegion, floor, here + ", not confirmed by enough other regions"},
		"a minority of vantages": {[]string{"eu", "ap", "sa", "af"}, func(s *scene) {
			s.at["eu"].cut = true
			s.say("ap", "gw-ap", "eu")
			s.say("sa", "gw-sa")
			s.say("af", "gw-af")
		}, regions.DegradedRegion, floor, here + ", not confirmed by enough other regions"},
		"a gateway that is cut off": {[]string{"eu", "ap"}, func(s *scene) {
			s.at["eu"].cut, s.at["ap"].cut = true, true
			s.say("ap", "gw-ap", "eu") // even though this word still comes through
		}, regions.DegradedRegion, 1, here + ", but so did most other regions: this gateway suspects itself"},
		"the only other region, unconfirmed": {[]string{"eu"}, func(s *scene) {
			s.at["eu"].cut = true
		}, regions.DegradedRegion, floor, here + ", not confirmed by enough other regions"},
		"others fail, this gateway sees it well": {[]string{"eu", "ap"}, func(s *scene) {
			s.say("ap", "gw-ap", "eu")
			s.say("eu", "gw-eu", "eu")
		}, regions.On, 1, "not checked yet"},
		"half of its nodes": {[]string{"eu", "ap"}, func(s *scene) {
			s.at["eu"].health = 0.5
		}, regions.DegradedRegion, 1, "50% of its nodes are healthy"},
		"a quarter of its nodes": {[]string{"eu", "ap"}, func(s *scene) {
			s.at["eu"].health = 0.25
		}, regions.DegradedRegion, 0.5, "25% of its nodes are healthy"},
		"the last one": {[]string{"eu", "ap"}, func(s *scene) {
			s.at["eu"].cut = true
			s.say("ap", "gw-ap", "eu", "us")
			s.at["us"].health, s.at["ap"].health = 0, 0
		}, regions.DegradedRegion, 1, here + ", but so did most other regions: this gateway suspects itself"},
		"never looked at": {[]string{"eu", "ap"}, func(s *scene) {
			s.at["eu"].blind = true
			s.say("ap", "gw-ap", "eu")
		}, regions.On, 1, "not checked yet"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, Config{}, tc.others...)
			tc.arm(s)
			s.run(10 * time.Minute)
			s.want("eu", tc.state, tc.share, tc.cause)
			if n := s.count("eu", regions.Evacuating); n > 0 {
				t.Errorf("evacuated %d times", n)
			}
		})
	}
}

// What must be, the causes given.
func TestEvacuated(t *testing.T) {
	for name, tc := range map[string]struct {
		cfg    Config
		others []string
		arm    func(*scene)
		cause  string
	}{
		"its own gateway confirms that the pool is dead": {Config{}, []string{"eu"}, func(s *scene) {
			s.at["eu"].health = 0
			s.say("eu", "gw-eu", "eu")
		}, "3 checks failed here (no healthy node), confirmed by gw-eu"},
		"breakers": {Config{}, []string{"eu", "ap"}, func(s *scene) {
			s.at["eu"].breaks = true
			s.say("ap", "gw-ap", "eu")
		}, "3 checks failed here (breaker open), confirmed by gw-ap"},
		"one vantage is enough where it is said so": {Config{Vantages: 1, Failures: 1}, []string{"eu"}, func(s *scene) {
			s.at["eu"].cut = true
		}, "1 check failed here (out of reach), as one vantage is enough"},
		"many": {Config{}, []string{"eu", "ap", "sa"}, func(s *scene) {
			s.at["eu"].cut = true
			for _, g := range []string{"a", "b", "c", "d", "e"} {
				s.say("ap", g, "eu")
			}
			s.say("sa", "f")
		}, here + ", confirmed by a, b, c and 2 more"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, tc.cfg, tc.others...)
			tc.arm(s)
			s.until("eu", regions.Evacuating, time.Minute)
			if s.f.Cause("eu") != tc.cause {
				t.Errorf("cause %q, want %q", s.f.Cause("eu"), tc.cause)
			}
		})
	}
}

// The own region's pool dies: this gateway moves its traffic away too.
func TestOwnRegion(t *testing.T) {
	s := newScene(t, Config{}, "eu")
	s.at["us"].health = 0
	s.say("eu", "gw-eu", "us")
	s.until("us", regions.Off, time.Minute)
	if w := s.f.Weights(); w["eu"] != 1 {
		t.Errorf("weights %v", w)
	}
}

func TestReportsExpire(t *testing.T) {
	s := newScene(t, Config{}, "eu", "ap")
	s.at["eu"].cut = true
	s.step(Report{Region: "eu", From: "ap", Gateway: "gw-ap", Failing: true, Age: 2 * time.Second})
	s.run(14 * time.Second) // two checks have failed, and the report is as old as it may be
	s.run(time.Minute)
	if s.f.State("eu") != regions.DegradedRegion {
		t.Errorf("%s on an old report", s.f.State("eu"))
	}
	for _, r := range s.f.Regions() {
		if len(r.Others) > 0 {
			t.Errorf("%s still has %v", r.Name, r.Others)
		}
	}
	s.step(Report{Region: "eu", From: "ap", Gateway: "gw-ap", Failing: true, Age: time.Minute})
	s.step(Tick{})
	if s.f.State("eu") != regions.DegradedRegion {
		t.Error("a report that was old when it came counts")
	}
	s.step(Report{Region: "eu", From: "ap", Gateway: "gw-ap", Failing: false})
	s.step(Report{Region: "eu", From: "ap", Gateway: "gw-ap", Failing: true, Age: time.Second})
	if s.f.State("eu") != regions.DegradedRegion {
		t.Error("a report that was overtaken counts")
	}
	s.step(Report{Region: "eu", From: "ap", Gateway: "gw-ap", Failing: true})
	if s.f.State("eu") != regions.Off { // with the tenth it had left, the first step is the last
		t.Error("a fresh report does not count")
	}
}

func TestHoldDownDoublesAndHalves(t *testing.T) {
	s := newScene(t, Config{}, "eu", "ap")
	cycle := func() time.Duration {
		s.lose()
		s.until("eu", regions.Off, 2*time.Minute)
		s.regain()
		took := s.until("eu", regions.Recovering, 2*time.Hour)
		s.until("eu", regions.On, 2*time.Minute)
		return took.Truncate(time.Minute)
	}
	for _, minutes := range []time.Duration{5, 10, 20, 40, 60, 60} {
		if got := cycle(); got != minutes*time.Minute {
			t.Errorf("hold-down of %s, want %dm", got, minutes)
		}
	}
	s.run(5 * time.Hour) // six strikes less five
	if got := cycle(); got != 10*time.Minute {
		t.Errorf("hold-down of %s after 5 good hours, want 10m", got)
	}
}

// One failed check in twenty must neither evacuate nor keep a region out for ever.
func TestNoise(t *testing.T) {
	s := newScene(t, Config{}, "eu", "ap")
	s.lose()
	s.until("eu", regions.Off, time.Minute)
	s.regain()
	for i := range 240 {
		s.at["eu"].cut = i%20 == 0
		s.run(5 * time.Second)
	}
	if s.f.State("eu") != regions.On || s.count("eu", regions.Evacuating) != 1 {
		t.Errorf("%s after 20 min with 5 %% of checks lost: %v", s.f.State("eu"), s.told)
	}
}

func TestHoldsForWantOfRoom(t *testing.T) {
	s := newScene(t, Config{}, "eu", "ap")
	for _, name := range []string{"us", "eu", "ap"} {
		s.at[name].load = Load{Demand: 60, Capacity: 75}
	}
	s.run(5 * time.Second)
	s.lose()
	s.run(5 * time.Minute)
	// Demand 180, room elsewhere 150: eu keeps 30 of 75.
	s.want("eu", regions.Evacuating, 0.4, "evacuation held at 40%: the other regions have no room for the rest")
	s.at["ap"].load.Capacity = 200
	s.run(5 * time.Second)
	if s.f.Cause("eu") != "evacuation goes on: "+confirmed {
		t.Errorf("cause %q", s.f.Cause("eu"))
	}
	s.until("eu", regions.Off, time.Minute)

	unknown := newScene(t, Config{}, "eu", "ap")
	for _, name := range []string{"us", "eu", "ap"} {
		unknown.at[name].load = Load{Demand: 60}
	}
	unknown.lose()
	unknown.until("eu", regions.Off, time.Minute)
}

// A held evacuation ends when the region is well again.
func TestHeldComesBack(t *testing.T) {
	s := newScene(t, Config{}, "eu", "ap")
	for _, name := range []string{"us", "eu", "ap"} {
		s.at[name].load = Load{Demand: 60, Capacity: 75}
	}
	s.run(5 * time.Second)
	s.lose()
	s.run(time.Minute)
	s.regain()
	s.until("eu", regions.Recovering, 6*time.Minute)
	s.until("eu", regions.On, time.Minute)
}

// Evacuated, and then the one that took over fails: the least bad serves after 10 s, and stays until
// others have served for a while.
func TestPanic(t *testing.T) {
	s := newScene(t, Config{}, "eu")
	s.at["eu"].health = 0
	s.say("eu", "gw-eu", "eu")
	s.until("eu", regions.Off, time.Minute)
	s.at["eu"].health = 0.2 // a little of it lives, but the hold-down is on
	s.say("eu", "gw-eu", "us")
	s.run(15 * time.Second)
	s.at["us"].health = 0
	took := s.until("eu", regions.Recovering, 2*time.Minute)
	if took < 10*time.Second || took > 35*time.Second {
		t.Errorf("panic after %s", took)
	}
	s.want("eu", regions.Recovering, 1, "nothing took the traffic for 10s: the least bad region serves")
	if n := s.count("us", regions.Evacuating); n != 0 {
		t.Error("the last region was evacuated towards one that serves in panic")
	}
	s.run(time.Hour)
	if share := s.f.Share("eu"); share < floor {
		t.Errorf("share %v while nothing else serves", share)
	}
	s.at["us"].health = 1
	s.say("eu", "gw-eu", "eu")
	s.at["eu"].health = 0
	s.until("us", regions.On, 10*time.Minute)
	s.until("eu", regions.Off, time.Minute)
	if w := s.f.Weights(); w["us"] != 1 {
		t.Errorf("weights %v", w)
	}
}

func TestClockAndStrangers(t *testing.T) {
	s := newScene(t, Config{}, "eu", "ap")
	s.lose()
	s.until("eu", regions.Evacuating, time.Minute)
	share := s.f.Share("eu")
	back, _ := Step(s.f, s.now.Add(-time.Hour), Tick{})
	if back.Share("eu") != share {
		t.Error("a clock that goes back moves shares")
	}
	jump, _ := Step(s.f, s.now.Add(10*time.Second), Tick{})
	if jump.Share("eu") < share-1.0/6-1e-9 {
		t.Errorf("a gap of 10s shifts %v at once", share-jump.Share("eu"))
	}
	for _, e := range []Event{Check{Region: "??"}, Report{Region: "??", From: "ap", Gateway: "x"}, Load{Region: "??"}, Order{Region: "??", State: OrderOff}} {
		if _, effects := Step(s.f, s.now, e); len(effects) > 0 {
			t.Errorf("%T of a stranger: %v", e, effects)
		}
	}
	if s.f.Share("??") != 0 || s.f.State("??") != regions.Off || s.f.Cause("??") != "" || s.f.Barred("??") || !s.f.Since("??").IsZero() {
		t.Error("a stranger has a state")
	}
}

func TestStepLeavesItsInputAlone(t *testing.T) {
	s := newScene(t, Config{}, "eu", "ap")
	s.lose()
	s.run(20 * time.Second)
	before := s.f.Regions()
	for range 50 {
		Step(s.f, s.now.Add(time.Second), Report{Region: "eu", From: "ap", Gateway: "gw-ap"})
		Step(s.f, s.now.Add(time.Hour), Order{Region: "ap", State: OrderOff, Version: 1 << 40})
		Step(s.f, s.now.Add(time.Second), Check{Region: "eu"})
	}
	for i, after := range s.f.Regions() {
		if len(after.Others) != len(before[i].Others) {
			t.Fatalf("reports of %s changed", after.Name)
		}
		for j := range after.Others {
			if after.Others[j] != before[i].Others[j] {
				t.Errorf("a report on %s changed", after.Name)
			}
		}
		after.Others, before[i].Others = nil, nil
		if after.Share != before[i].Share || after.State != before[i].State || after.Order != before[i].Order {
			t.Errorf("%+v became %+v", before[i], after)
		}
	}
}

func TestWith(t *testing.T) {
	s := newScene(t, Config{}, "eu", "ap")
	s.lose()
	s.until("eu", regions.Off, time.Minute)
	f, effects, err := s.f.With([]string{"eu", "sa"}, s.now)
	if err != nil || len(effects) != 0 {
		t.Fatal(err, effects)
	}
	if f.State("eu") != regions.Off || f.State("sa") != regions.On || f.Share("ap") != 0 || s.f.Share("ap") != 1 {
		t.Errorf("%+v", f.Regions())
	}
	for _, names := range [][]string{{"eu", "eu"}, {"us"}, {""}, make([]string, 70)} {
		if _, _, err := s.f.With(names, s.now); err == nil {
			t.Errorf("%q is taken", names)
		}
	}
}

func TestConfig(t *testing.T) {
	got, err := Config{}.WithDefaults()
	want := Config{5 * time.Second, 3, 2, 5 * time.Minute, time.Hour, time.Minute, 30 * time.Second, 10 * time.Second}
	if err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	_, err = Config{
		Interval: -1, Failures: -1, Vantages: 65, HoldDown: 25 * time.Hour, MaxHoldDown: 8 * 24 * time.Hour,
		Ramp: -1, Evacuate: -1, Timeout: 2 * time.Hour,
	}.WithDefaults()
	for _, word := range []string{"interval", "failures", "vantages", "hold-down", "largest hold-down", "ramp", "evacuation", "timeout"} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("no word of %s in %v", word, err)
		}
	}
	if _, err := New(Config{Interval: -1}, "us", nil, dawn); err == nil {
		t.Error("a bad configuration makes a fleet")
	}
}

// A region that was given back to automation before it could take anything, and fails, is called up like one that
// was evacuated. Found by the simulation, seed 9622741163618752909.
func TestPanicAfterAnOrderEnds(t *testing.T) {
	s := newScene(t, Config{}, "eu")
	s.order("eu", OrderOff, 0)
	s.run(5 * time.Second)
	s.at["eu"].cut = true
	s.order("eu", OrderOn, 0)
	s.look()
	s.order("us", OrderOff, 0)
	s.run(30 * time.Second)
	if share := s.f.Share("eu"); share != 1 {
		t.Errorf("eu is %s with %.3f (%s): nothing serves", s.f.State("eu"), share, s.f.Cause("eu"))
	}
}
