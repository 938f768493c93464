package plugintest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/quorate/quorate/strategies"
	"github.com/quorate/quorate/strategies/configuredmaster"
	"github.com/quorate/quorate/strategies/oldestnode"
	"github.com/quorate/quorate/strategies/regionmajority"
	"github.com/quorate/quorate/strategies/winnertakesall"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestBuiltinsPass(t *testing.T) {
	for name, decide := range map[string]strategies.Func{
		winnertakesall.Name: winnertakesall.Rule, oldestnode.Name: oldestnode.Rule,
		configuredmaster.Name: configuredmaster.Rule, regionmajority.Name: regionmajority.Rule,
	} {
		t.Run(name, func(t *testing.T) { Run(t, decide, map[string]string{"master": "gw-1"}) })
	}
}

func TestCasesAreInputs(t *testing.T) {
	for _, c := range Cases(map[string]string{"a": "b"}) {
		if err := c.Input.Validate(); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
}

// recorder is a T that keeps what a test would say.
type recorder struct{ text strings.Builder }

func (r *recorder) Helper()                           {}
func (r *recorder) Logf(string, ...any)               {}
func (r *recorder) Errorf(format string, args ...any) { fmt.Fprintf(&r.text, format+"\n", args...) }

func each(in strategies.Input) (parts []strategies.Part) {
	for _, name := range in.Roster.Names() {
		parts = append(parts, strategies.One(name))
	}
	return parts
}

// TestBadStrategiesFail: every breach is found, and explained.
func TestBadStrategiesFail(t *testing.T) {
	var asked atomic.Int64
	for name, tc := range map[string]struct {
		decide strategies.Func
		want   []string
	}{
		"anyone": {func(in strategies.Input) (strategies.Rule, error) { return strategies.AtLeast(1, each(in)...), nil },
			[]string{"three voters in three regions: two sides of a partition could both write under 1 of (gw-1, gw-2, gw-3)", "side A {gw-1} satisfies it", "side B {gw-2, gw-3} satisfies it", "raise the need"}},
		"half": {func(in strategies.Input) (strategies.Rule, error) {
			return strategies.AtLeast(max(len(each(in))/2, 1), each(in)...), nil
		}, []string{"four voters in two regions: two sides", "side A {gw-1, gw-2}", "side B {gw-3, gw-4}"}},
		"both": {func(in strategies.Input) (strategies.Rule, error) { return strategies.MajorityOf(each(in)...), nil },
			[]string{"two voters in two regions: strategies: either's loss would stop all writes", "quorate serve --witness", "unless declared_voters says"}},
		"members": {func(in strategies.Input) (strategies.Rule, error) {
			var parts []strategies.Part
			for _, g := range in.Roster {
				parts = append(parts, strategies.One(g.Name))
			}
			return strategies.MajorityOf(parts[:min(len(parts), 5)]...), nil
		}, []string{"three voters and two members: the rule names gw-4, gw-5, no voter of the roster"}},
		"first in the list": {func(in strategies.Input) (strategies.Rule, error) { return strategies.Single(in.Roster[0].Name), nil },
			[]string{"for the same roster in another order it answers gw-3 instead of gw-1"}},
		"round robin": {func(in strategies.Input) (strategies.Rule, error) {
			names := in.Roster.Names()
			return strategies.Single(names[int(asked.Add(1))%len(names)]), nil
		}, []string{"asked again it answers", "without clocks, chance or memory", "from a second process"}},
		"lazy": {func(strategies.Input) (strategies.Rule, error) {
			return strategies.Rule{}, strategies.Refuse("not today")
		}, []string{"it refuses every roster, the first with: refused: not today", "--option"}},
		"broken":  {func(strategies.Input) (strategies.Rule, error) { return strategies.Rule{}, errors.New("disk full") }, []string{"one voter: disk full"}},
		"nothing": {func(strategies.Input) (strategies.Rule, error) { return strategies.Rule{}, nil }, []string{"outside 1..0"}},
	} {
		t.Run(name, func(t *testing.T) {
			var r recorder
			Run(&r, tc.decide, nil)
			for _, want := range tc.want {
				if !strings.Contains(r.text.String(), want) {
					t.Errorf("%s\nwant %q", r.text.String(), want)
				}
			}
		})
	}
}

// slow answers after a while, or when it is given up.
type slow time.Duration

func (s slow) Decide(ctx context.Context, in strategies.Input) (strategies.Rule, error) {
	select {
	case <-time.After(time.Duration(s)):
		return oldestnode.Rule(in)
	case <-ctx.Done():
		return strategies.Rule{}, ctx.Err()
	}
}

func TestSlowStrategies(t *testing.T) {
	for after, bad := range map[time.Duration]bool{49 * time.Millisecond: false, 51 * time.Millisecond: true, time.Hour: true} {
		synctest.Test(t, func(t *testing.T) {
			report := Check(t.Context(), Config{Start: func(context.Context) (Decider, func(), error) { return slow(after), func() {}, nil }})
			if report.Failed() != bad {
				t.Errorf("%s: failed is %t", after, report.Failed())
			}
			if bad && !strings.Contains(report.Results[0].Problems[0], "it takes more than 50ms") {
				t.Errorf("%s: %v", after, report.Results[0].Problems)
			}
		})
	}
}

func TestStartsTwice(t *testing.T) {
	starts, ends := 0, 0
	report := Check(t.Context(), Config{Start: func(context.Context) (Decider, func(), error) {
		if starts++; starts == 2 {
			return nil, nil, errors.New("address already in use")
		}
		return slow(0), func() { ends++ }, nil
	}})
	if !report.Failed() || ends != 1 || !strings.Contains(report.Problems[0], "beside the first: address already in use") {
		t.Errorf("%v, %d ends", report.Problems, ends)
	}
	var text strings.Builder
	report.Print(&text)
	if !strings.Contains(text.String(), "FAIL    as a whole\n        it does not start a second time") {
		t.Error(text.String())
	}
}

// TestProcessesAgree: two processes of one strategy that answer differently are two strategies.
func TestProcessesAgree(t *testing.T) {
	starts := 0
	report := Check(t.Context(), Config{Start: func(context.Context) (Decider, func(), error) {
		which := starts
		starts++
		return inProcess(func(in strategies.Input) (strategies.Rule, error) {
			names := in.Roster.Names()
			return strategies.Single(names[which%len(names)]), nil
		}), func() {}, nil
	}})
	if p := report.Results[1].Problems; len(p) != 1 || !strings.Contains(p[0], "from a second process it answers gw-2 instead of gw-1") {
		t.Errorf("%v", p)
	}
}
