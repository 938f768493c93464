package history

import (
	"strings"
	"testing"
)

// Faults of every kind, each with a write that its gate may not have let through and one that it may.
func TestWhatAGateMayRestOn(t *testing.T) {
	for name, tc := range map[string]struct {
		world func(h *story)
		good  Time // of a write through gw-1
		bad   Time
	}{
		"a one-way cut is a cut": {func(h *story) {
			h.way(10*s, "gw-1", "gw-2", true)
			h.way(10*s, "gw-3", "gw-1", true)
		}, 11 * s, 11200 * ms},
		"one voter is enough beside oneself": {func(h *story) {
			h.cut(10*s, "gw-1", "gw-2")
			h.cut(20*s, "gw-1", "gw-3")
		}, 20900 * ms, 22 * s},
		"a stopped voter promises nothing": {func(h *story) {
			h.cut(10*s, "gw-1", "gw-2")
			h.process(10*s, "gw-3", true, true)
		}, 11 * s, 12 * s},
		"neither does a dead one": {func(h *story) {
			h.cut(10*s, "gw-1", "gw-2")
			h.process(10*s, "gw-3", true, false)
		}, 11 * s, 12 * s},
		"a flap opens the gate for a lease": {func(h *story) {
			h.cut(10*s, "gw-1", "gw-2")
			h.cut(10*s, "gw-1", "gw-3")
			h.heal(15*s, "gw-1", "gw-3")
			h.cut(15100*ms, "gw-1", "gw-3")
		}, 16 * s, 16300 * ms},
		"what a line lost is sent again: there first, then back": {func(h *story) {
			h.cut(10*s, "gw-1", "gw-2")
			h.cut(10*s, "gw-1", "gw-3")
			h.way(15*s, "gw-1", "gw-3", false)
			h.way(15100*ms, "gw-1", "gw-3", true)
			h.way(15200*ms, "gw-3", "gw-1", false)
		}, 15500 * ms, 14900 * ms},
		"back first, then there, is no answer": {func(h *story) {
			h.cut(10*s, "gw-1", "gw-2")
			h.cut(10*s, "gw-1", "gw-3")
			h.way(15*s, "gw-3", "gw-1", false)
			h.way(15100*ms, "gw-3", "gw-1", true)
			h.way(15200*ms, "gw-1", "gw-3", false)
		}, 10500 * ms, 15500 * ms},
	} {
		t.Run(name, func(t *testing.T) {
			for at, want := range map[Time]string{tc.good: "", tc.bad: Closed} {
				h := three()
				tc.world(h)
				h.write("gw-1", at)
				if got := strings.Join(found(verdict(t, h)), ","); got != want {
					t.Errorf("a write at %s: found %q, want %q", at, got, want)
				}
			}
		})
	}
}

func (h *story) process(at Time, g string, down, stop bool) {
	h.Changes = append(h.Changes, Change{At: at, From: g, Down: down, Stop: stop})
}

// A call that was in a gateway when that was stopped may land late; one that came later may not.
func TestPastTheGate(t *testing.T) {
	frozen := func(invoke Time) *story {
		h := three()
		h.process(10*s, "gw-1", true, true)
		h.cut(11*s, "gw-1", "gw-2")
		h.cut(11*s, "gw-1", "gw-3")
		h.process(30*s, "gw-1", false, true)
		h.effect(h.call("gw-1", invoke, Unknown), 30010*ms)
		return h
	}
	v := verdict(t, frozen(9990*ms))
	if len(v.Violations) > 0 || v.Figures.PastGate != 1 {
		t.Errorf("in flight at the stop: %d past the gate\n%s", v.Figures.PastGate, lines(v))
	}
	v = verdict(t, frozen(12*s))
	if len(found(v)) != 1 || found(v)[0] != Closed || v.Figures.Stale != 1 {
		t.Errorf("came after the stop: found %v", found(v))
	}
}

// A call may also be late because its node stood still; at another node it may not.
func TestPastTheGateInANode(t *testing.T) {
	for stopped, want := range map[string]int{"n-gw-1": 0, "n-gw-2": 1} {
		h := three()
		h.cut(10*s, "gw-1", "gw-2")
		h.cut(10*s, "gw-1", "gw-3")
		h.process(10300*ms, stopped, true, true)
		h.process(14*s, stopped, false, true)
		h.effect(h.call("gw-1", 10400*ms, Unknown), 14001*ms)
		v := verdict(t, h)
		if len(v.Violations) != want || v.Figures.PastGate != 1-want {
			t.Errorf("%s stopped: %d past the gate\n%s", stopped, v.Figures.PastGate, lines(v))
		}
	}
}

// Two sides that write at once are found whatever the rule is said to be: here it asks for nobody but gw-1 and then
// for gw-3, as after a change of master that was not sealed.
func TestExclusiveNeedsNoRule(t *testing.T) {
	h := three()
	h.Rules = []InForce{{Rule: "gw-1"}, {From: 12 * s, Rule: "gw-3"}}
	h.cut(10*s, "gw-1", "gw-3")
	h.cut(10*s, "gw-1", "gw-2")
	h.writes("gw-1", 0, 14*s)
	h.writes("gw-3", 13*s, 20*s)
	if got := strings.Join(found(verdict(t, h)), ","); got != Exclusive {
		t.Errorf("found %q", got)
	}
	h = three()
	h.Rules = []InForce{{Rule: "gw-1"}, {From: 12 * s, Rule: "gw-3"}}
	h.writes("gw-1", 0, 14*s)
	h.writes("gw-3", 13*s, 20*s)
	if got := found(verdict(t, h)); len(got) != 0 {
		t.Errorf("a change of master in a whole fleet: found %v", got)
	}
}

// Both ends of a bridge may write at once: each has a majority, and the majorities meet in the middle.
func TestBridge(t *testing.T) {
	h := three()
	h.cut(10*s, "gw-1", "gw-3")
	for _, g := range []string{"gw-1", "gw-2", "gw-3"} {
		h.writes(g, 0, 40*s)
	}
	h.Episodes = []Episode{{Name: "bridge", Begin: 10 * s, Heal: 30 * s, Quiet: 40 * s, Whole: true}}
	v := verdict(t, h)
	if len(v.Violations) > 0 || v.Figures.Handlings[0].Winners != 3 {
		t.Errorf("%d winners\n%s", v.Figures.Handlings[0].Winners, lines(v))
	}
}

// The control of the whole rig: a fleet without authority writes on both sides.
func TestNoAuthority(t *testing.T) {
	h := isolated()
	h.writes("gw-3", 10900*ms, 14*s)
	got := strings.Join(found(verdict(t, h)), ",")
	if got != Exclusive+","+Closed {
		t.Errorf("found %q", got)
	}
}

// A change of rule is sealed: after the first effect under the new rule none may come under the old one, although its
// gateway heard from everybody a moment ago. What comes under both rules may.
func TestSealed(t *testing.T) {
	change := func(late Time) *story {
		h := three()
		h.Rules = []InForce{{Rule: "gw-1"}, {From: 10 * s, Rule: "gw-2"}}
		h.Sealings = []Sealing{{Began: 17, Finished: 19}}
		for _, w := range []struct {
			at    Time
			g     string
			epoch uint64
		}{{8 * s, "gw-3", 5}, {10 * s, "gw-2", 17}, {11 * s, "gw-2", 19}, {11300 * ms, "gw-1", 17}, {late, "gw-3", 5}, {21 * s, "gw-3", 19}} {
			h.effect(h.call(w.g, w.at, OK), w.at).Fence = w.epoch
		}
		return h
	}
	if v := verdict(t, change(10900*ms)); len(v.Violations) > 0 {
		t.Errorf("an old write before the first new one:\n%s", lines(v))
	}
	if got := found(verdict(t, change(11500*ms))); len(got) != 1 || got[0] != Exclusive {
		t.Errorf("an old write after the first new one: found %v", got)
	}
}
