package history

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Each story is good but for one thing; the judge finds that and nothing else.
func TestJudge(t *testing.T) {
	for name, tc := range map[string]struct {
		story *story
		wrong func(h *story)
		want  string // what is violated; "" for nothing
	}{
		"nothing happens":                             {three(), func(h *story) { h.writes("gw-1", 0, s) }, ""},
		"an isolated region":                          {isolated(), func(*story) {}, ""},
		"a write just within the lease and the slack": {isolated(), func(h *story) { h.write("gw-3", 11097*ms) }, ""},
		"a write just beyond them":                    {isolated(), func(h *story) { h.write("gw-3", 11100*ms) }, Exclusive + "," + Closed},
		"a write long after":                          {isolated(), func(h *story) { h.write("gw-3", 13*s) }, Exclusive + "," + Closed},
		"a gate that opens before the heal is over":   {isolated(), func(h *story) { h.write("gw-3", 13990*ms) }, Exclusive + "," + Closed},
		"a write beyond them on a machine that was late": {isolated(), func(h *story) {
			h.Noises = []Noise{{At: 11 * s, Late: 200 * ms}}
			h.write("gw-3", 11297*ms)
		}, ""},
		"later than the machine was": {isolated(), func(h *story) {
			h.Noises = []Noise{{At: 5 * s, Late: 5 * s}, {At: 11 * s, Late: 200 * ms}}
			h.write("gw-3", 11300*ms)
		}, Exclusive + "," + Closed},
		"executed twice": {isolated(), func(h *story) { h.effect(&h.Calls[7], 20*s) }, Once},
		"executed twice, which is the same as once": {isolated(), func(h *story) {
			h.Calls[7].Again = true
			h.effect(&h.Calls[7], 20*s)
		}, ""},
		"executed although refused":     {isolated(), func(h *story) { h.effect(h.call("gw-1", 20*s, Refused), 20*s) }, Once},
		"executed, outcome unknown":     {isolated(), func(h *story) { h.effect(h.call("gw-1", 20*s, Unknown), 20*s) }, ""},
		"not executed, outcome unknown": {isolated(), func(h *story) { h.call("gw-1", 20*s, Unknown) }, ""},
		"answered and not executed":     {isolated(), func(h *story) { h.call("gw-1", 20*s, OK) }, Once},
		"answered and not ended":        {isolated(), func(h *story) { h.effect(h.call("gw-1", 20*s, OK), 20*s).Done = false }, Once},
		"executed and never called": {isolated(), func(h *story) {
			h.Effects = append(h.Effects, Effect{Call: "ghost", Gateway: "gw-1", At: 20 * s})
		}, Once},
		"does not come back": {isolated(), func(h *story) {
			h.Calls = slices.DeleteFunc(h.Calls, func(c Call) bool { return c.Gateway == "gw-3" && c.Invoke > 14*s })
			h.Effects = slices.DeleteFunc(h.Effects, func(e Effect) bool { return e.Gateway == "gw-3" && e.At > 14*s })
		}, Converged},
		"comes back late": {isolated(), func(h *story) {
			late := func(g string, at Time) bool { return g == "gw-3" && at > 14*s && at < 24500*ms }
			h.Calls = slices.DeleteFunc(h.Calls, func(c Call) bool { return late(c.Gateway, c.Invoke) })
			h.Effects = slices.DeleteFunc(h.Effects, func(e Effect) bool { return late(e.Gateway, e.At) })
		}, Converged},
		"refuses again long after": {isolated(), func(h *story) { h.call("gw-1", 30*s, Refused) }, Converged},
		"the right side does not write": {isolated(), func(h *story) {
			silent := func(g string, at Time) bool { return g != "gw-3" && at >= 9990*ms && at < 14*s }
			h.Calls = slices.DeleteFunc(h.Calls, func(c Call) bool { return silent(c.Gateway, c.Invoke) })
			h.Effects = slices.DeleteFunc(h.Effects, func(e Effect) bool { return silent(e.Gateway, e.At) })
		}, Available},
		"the right side is not back yet from the fault before": {isolated(), func(h *story) {
			h.Episodes = append([]Episode{{Name: "before", Start: 9000 * ms, Begin: 9000 * ms, Heal: 9980 * ms, Quiet: 9985 * ms}}, h.Episodes...)
			silent := func(g string, at Time) bool { return g != "gw-3" && at >= 9000*ms && at < 14*s }
			h.Calls = slices.DeleteFunc(h.Calls, func(c Call) bool { return silent(c.Gateway, c.Invoke) })
			h.Effects = slices.DeleteFunc(h.Effects, func(e Effect) bool { return silent(e.Gateway, e.At) })
		}, ""},
		"fences grow": {three(), func(h *story) {
			for i, f := range []uint64{5, 5, 9, 12} {
				checked(h, Time(i)*s, "gw-1", f)
			}
		}, ""},
		"an epoch that no entry of the log can be": {three(), func(h *story) {
			h.LastIndex = 11
			checked(h, 1*s, "gw-1", 11)
			checked(h, 2*s, "gw-1", 12)
		}, Fences},
		"an old fence is accepted": {three(), func(h *story) {
			checked(h, 1*s, "gw-1", 9)
			checked(h, 2*s, "gw-2", 7)
		}, Fences},
	} {
		t.Run(name, func(t *testing.T) {
			tc.wrong(tc.story)
			v := verdict(t, tc.story)
			if got := strings.Join(found(v), ","); got != tc.want {
				t.Errorf("found %q, want %q:\n%s", got, tc.want, lines(v))
			}
		})
	}
}

// checked is an effect on the one node that looks at fences.
func checked(h *story, at Time, g string, fence uint64) {
	e := h.effect(h.call(g, at, OK), at)
	e.Node, e.Fence, e.Checked = "commons", fence, true
}

func lines(v Verdict) string {
	var b strings.Builder
	for _, x := range v.Violations {
		fmt.Fprintln(&b, x)
	}
	return b.String()
}

// What the episode's figures say of a good story.
func TestHandling(t *testing.T) {
	f := verdict(t, isolated()).Figures
	h := f.Handlings[0]
	if h.Parts["gw-3"] != Losing || h.Parts["gw-1"] != Winning || h.Losers != 1 || h.Winners != 2 {
		t.Errorf("parts %v", h.Parts)
	}
	if h.LastLosing != 882*ms || h.FirstWinning != 5*ms || h.Recovered != 505*ms || h.Handled() != h.LastLosing {
		t.Errorf("last losing %s, first winning %s, recovered %s", h.LastLosing, h.FirstWinning, h.Recovered)
	}
	if h.Asked < 100 || f.LosingAsked != h.Asked || f.Losing != 1 || f.Outcomes["refused"] != 180 {
		t.Errorf("%d asked, outcomes %v", h.Asked, f.Outcomes)
	}
}

// A history that contradicts itself is not judged.
func TestUnjudgeable(t *testing.T) {
	for name, spoil := range map[string]func(*History){
		"no voters":       func(h *History) { h.Gateways = nil },
		"a rule of noise": func(h *History) { h.Rules[0].Rule = "2 of" },
		"one call twice":  func(h *History) { h.Calls = append(h.Calls, h.Calls[0]) },
		"time goes back":  func(h *History) { h.Changes[0].At = 39 * s },
	} {
		h := isolated()
		spoil(&h.History)
		if _, err := Judge(&h.History); err == nil {
			t.Errorf("%s: judged", name)
		}
	}
}

// What single episodes must not do: each demand is met by a good story and missed by one call or epoch.
func TestDemands(t *testing.T) {
	for name, tc := range map[string]struct {
		demand, wrong func(h *story)
		want          string
	}{
		"calm, a write refused": {func(h *story) { h.Episodes[0].Calm = true }, func(h *story) { h.call("gw-1", 5*s, Refused) }, Calm},
		"calm, a write unknown": {func(h *story) { h.Episodes[0].Calm = true }, func(h *story) { h.call("gw-1", 5*s, Unknown) }, Calm},
		"calm, a new epoch": {func(h *story) { h.Episodes[0].Calm = true }, func(h *story) {
			checked(h, 4*s, "gw-1", 7)
			checked(h, 5*s, "gw-1", 8)
		}, Calm},
		"safe, a read lost": {func(h *story) { h.Episodes[0].Safe = true }, func(h *story) { h.call("gw-1", 5*s, Refused).Kind = Read }, Safe},
		"terms":             {func(h *story) { h.Episodes[0].MostTerms, h.Episodes[0].Terms = 1, 1 }, func(h *story) { h.Episodes[0].Terms = 2 }, Terms},
	} {
		h := three()
		h.writes("gw-1", 0, 10*s)
		h.Episodes = []Episode{{Name: "nothing", Start: 3 * s, Begin: 4 * s, Heal: 6 * s, Quiet: 10 * s}}
		tc.demand(h)
		if v := verdict(t, h); len(v.Violations) > 0 {
			t.Errorf("%s: found in a good story:\n%s", name, lines(v))
		}
		tc.wrong(h)
		if got := strings.Join(found(verdict(t, h)), ","); got != tc.want {
			t.Errorf("%s: found %q", name, got)
		}
	}
}
