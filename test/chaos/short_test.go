package chaos_test

import (
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/chaos"
	"github.com/quorate/quorate/internal/chaos/schedule"
	"github.com/quorate/quorate/strategies/winnertakesall"
)

// Fleets with authority pass what the one without does not. The seeds are from the clock; CI makes 20 runs more by
// make chaos.
func TestShortSchedules(t *testing.T) {
	first := uint64(time.Now().UnixNano())
	for i := range uint64(2) {
		s := schedule.Seeded(first+i, schedule.Short())
		if v := judged(t, chaos.Config{}, s); len(v.Violations) > 0 {
			t.Errorf("%s\n%d violations; again: make chaos RUNS=1 SEED=%d ARGS=--short", s, len(v.Violations), s.Seed)
		}
	}
}

// The case that the control fails at, with authority: the gateway that is cut off stops within the lease, and nothing
// but that is refused.
func TestIsolated(t *testing.T) {
	f := schedule.Fault{Kind: schedule.Cut, From: []string{"gw-3"}}
	s := schedule.Schedule{Seed: uint64(time.Now().UnixNano()), Gateways: schedule.Voters(3), Strategy: winnertakesall.Name,
		Episodes: []schedule.Episode{{Name: f.String(), Faults: []schedule.Fault{f}, Hold: 3 * time.Second}}}
	v := judged(t, chaos.Config{}, s)
	if len(v.Violations) > 0 {
		t.Errorf("%d violations", len(v.Violations))
	}
	h := v.Figures.Handlings[0]
	if h.Losers != 1 || h.Asked < 10 || h.LastLosing < 0 || h.FirstWinning < 0 {
		t.Errorf("nothing was shown: %+v", h)
	}
}

// A campaign goes on where it was broken off: what passed is not made again, with the same binary and configuration.
func TestCampaignGoesOn(t *testing.T) {
	needsNetwork(t)
	o := schedule.Short()
	o.Episodes, o.Kinds = 1, []schedule.Kind{schedule.Clock} // which costs nothing
	c := chaos.Campaign{Config: chaos.Config{Binary: quorate}, Dir: t.TempDir(), Units: chaos.Seeded(1, 1, o, "")}
	made := func() int {
		var out strings.Builder
		c.Out = &out
		if err := c.Run(t.Context()); err != nil {
			t.Fatalf("%v\n%s", err, out.String())
		}
		return strings.Count(out.String(), "run ")
	}
	first := made()
	c.Units = append(c.Units, chaos.Seeded(2, 1, o, "")...)
	if second := made(); first == 0 || second != first {
		t.Errorf("the second time made %d, the first %d", second, first)
	}
}
