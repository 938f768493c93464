package regions

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/quorate/quorate/internal/bench/failover"
	"github.com/quorate/quorate/internal/gatewayproc"
	"github.com/quorate/quorate/internal/mcpnode"
	"github.com/quorate/quorate/internal/poll"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// timed says that the bars on times are judged: by the command for it, on a quiet machine.
func timed() bool { return os.Getenv("JUDGE_TIMES") != "" }

// losses is how often a region is lost in each way; the command for figures sets more.
func losses() int {
	if timed() {
		return 10
	}
	return 2
}

func binary(t *testing.T) string {
	t.Helper()
	b, err := gatewayproc.Build(t.Context(), t.TempDir(), gatewayproc.Package)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func seed(t *testing.T) uint64 {
	s := uint64(time.Now().UnixNano())
	t.Logf("seed %d", s)
	return s
}

// everybody is agents of every kind.
var everybody = failover.Mix{ModernRaw: 4, LegacyRaw: 4, ModernSDK: 2, LegacySDK: 2}

// load starts agents at us-east's edge.
func load(t *testing.T, w *World, seed uint64, mix failover.Mix) *failover.Load {
	t.Helper()
	l, err := failover.NewLoad(failover.LoadConfig{
		Sites: []failover.Site{{URL: w.URL(), Agents: mix}},
		Think: 20 * time.Millisecond, Seed: seed,
	})
	if err != nil {
		t.Fatal(err)
	}
	l.Start(t.Context())
	return l
}

func journal(t *testing.T, w *World) (all []mcpnode.Entry) {
	t.Helper()
	for _, p := range w.Pools {
		entries, err := p.Journal()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, entries...)
	}
	return all
}

// from is how many answers came from each region since the figures before.
func from(now, before failover.Figures, region string) int64 {
	return now.Answers[""][region] - before.Answers[""][region]
}

func until(t *testing.T, bound time.Duration, what string, is func() bool) {
	t.Helper()
	poll.True(t, 20*time.Millisecond, bound, what, is)
}

// The region that serves the agents is lost and comes back: no call that may be sent again fails, no session
// is lost, nothing runs twice. The control is a gateway that makes one attempt only.
func TestRegionLost(t *testing.T) {
	b := binary(t)
	for name, tc := range map[string]struct {
		reset bool
		bar   time.Duration
	}{"black hole": {false, time.Second}, "reset": {true, 150 * time.Millisecond}} {
		t.Run(name, func(t *testing.T) {
			s := seed(t)
			w := Start(t, Options{Binary: b, Seed: s, Failover: slowly})
			kinds := []*kind{
				{name: "stateless", load: load(t, w, s, failover.Mix{ModernRaw: 4, ModernSDK: 2})},
				{name: "session", load: load(t, w, s, failover.Mix{LegacyRaw: 4, LegacySDK: 2})},
			}
			for range losses() {
				lose(t, w, kinds, EuWest, ApSouth, tc.reset)
				lose(t, w, kinds[1:], ApSouth, EuWest, tc.reset) // sessions stay where they went, so there they are lost next
			}
			for _, k := range kinds {
				k.load.Stop()
			}
			entries := journal(t, w)
			for _, k := range kinds {
				res := k.load.Result(entries)
				slices.Sort(k.waits)
				slices.Sort(k.gaps)
				t.Logf("%s, %s agents: N=%d losses of the region that serves them, %d calls, %d safe calls failed, %d sessions lost, %d ran twice, outcome unknown %d of %d once calls; re-route of N=%d requests p50 %s, p99 %s, worst %s, round trips of %s and %s included; until the last agent's next call was answered too p50 %s, worst %s",
					name, k.name, len(k.gaps), res.Calls, res.SafeLost, res.SessionsLost, res.Duplicate, res.Unknown, res.Once, len(k.waits), rank(k.waits, 0.5), rank(k.waits, 0.99), rank(k.waits, 1),
					2*oneWay(UsEast, EuWest), 2*oneWay(UsEast, ApSouth), rank(k.gaps, 0.5), rank(k.gaps, 1))
				if res.SafeLost != 0 || res.SessionsLost != 0 || res.Duplicate != 0 || res.False != 0 {
					t.Errorf("lost %d safe calls, %d sessions, %d ran twice, %d answers are false; such as %v", res.SafeLost, res.SessionsLost, res.Duplicate, res.False, res.Samples)
				}
				if p99 := rank(k.waits, 0.99); timed() && p99 > tc.bar {
					t.Errorf("re-route of %s agents: p99 %s, bar %s", k.name, p99, tc.bar)
				}
			}
		})
	}
	t.Run("control: one attempt", func(t *testing.T) {
		s := seed(t)
		w := Start(t, Options{Binary: b, Seed: s, Failover: slowly, Service: "    retry: {attempts: 1, budget_percent: 0, budget_min: 0}\n"})
		k := &kind{load: load(t, w, s, everybody)}
		lose(t, w, []*kind{k}, EuWest, ApSouth, true)
		k.load.Stop()
		res := k.load.Result(journal(t, w))
		t.Logf("control, one attempt: %d safe calls of %d failed", res.SafeLost, res.Calls)
		if res.SafeLost == 0 {
			t.Error("nothing failed without retries: this test could not see a loss")
		}
	})
}

// kind is agents of one kind and what they noticed.
type kind struct {
	name  string
	load  *failover.Load
	waits []time.Duration // of every request that met a loss, from then on
	gaps  []time.Duration // of every loss, until the last agent's first call after it was answered
}

// rank is the nearest-rank quantile of sorted times.
func rank(sorted []time.Duration, p float64) time.Duration {
	i := int(math.Ceil(p*float64(len(sorted)))) - 1
	return sorted[max(i, 0)].Round(time.Millisecond)
}

// slowly is regional failover that plays no part while a region is lost for a moment.
const slowly = "interval: 10s"

// lose loses the region that serves the agents, waits until all are served by the other one, and heals it.
func lose(t *testing.T, w *World, kinds []*kind, region, other string, reset bool) {
	t.Helper()
	served := func(region string) {
		t.Helper()
		for _, k := range kinds {
			before := k.load.Figures()
			until(t, 30*time.Second, region+" serves", func() bool { return from(k.load.Figures(), before, region) > 25 })
		}
	}
	served(region)
	// One region is lost at a time: the one before must be back in service first, or there is nowhere to go.
	until(t, 30*time.Second, UsEast+" sees "+other, func() bool { return usable(t.Context(), w, other) })
	outages := make([]*failover.Outage, len(kinds))
	for i, k := range kinds {
		outages[i] = k.load.Watch()
	}
	w.Lose(region, reset)
	for _, k := range kinds {
		k.load.Alarm()
	}
	served(other)
	for i, k := range kinds {
		k.waits = append(k.waits, outages[i].Requests()...)
		k.gaps = append(k.gaps, outages[i].Wait(time.Now()))
		if timed() {
			t.Logf("%s: %s", k.name, outages[i].Story())
		}
	}
	w.Heal(region)
}

// A region that was away is given its traffic back after the hold-down, over the ramp; the timeline shows it.
func TestTrafficComesBack(t *testing.T) {
	s := seed(t)
	w := Start(t, Options{Binary: binary(t), Seed: s})
	l := load(t, w, s, everybody)
	defer l.Stop()
	line := &timeline{w: w, l: l, began: time.Now(), last: l.Figures()}
	line.until(t, 4*time.Second, func() bool { return false })
	w.Lose(EuWest, false)
	line.note("eu-west is cut off")
	line.until(t, 30*time.Second, func() bool { return w.Region(t.Context(), UsEast, EuWest).State == "off" })
	line.note("eu-west is off: " + w.Region(t.Context(), UsEast, EuWest).Cause)
	w.Heal(EuWest)
	healed := time.Now()
	line.note("healed")
	line.until(t, 30*time.Second, func() bool { return w.Region(t.Context(), UsEast, EuWest).State == "recovering" })
	held := time.Since(healed)
	line.note("recovering: " + w.Region(t.Context(), UsEast, EuWest).Cause)
	shares := line.until(t, 30*time.Second, func() bool { return w.Region(t.Context(), UsEast, EuWest).State == "on" })
	line.note("on again")
	line.until(t, 3*time.Second, func() bool { return false })
	t.Logf("hold-down %s, then a ramp\n%s", held.Round(100*time.Millisecond), line)
	if held < 3*time.Second {
		t.Errorf("traffic came back after %s, hold-down 3s", held)
	}
	if len(shares) < 2 || !slices.IsSorted(shares) || shares[0] >= 1 {
		t.Errorf("no ramp: shares %v", shares)
	}
	if f := l.Figures(); f.SafeLost != 0 || f.SessionsLost != 0 {
		t.Errorf("%d safe calls and %d sessions lost", f.SafeLost, f.SessionsLost)
	}
}

// timeline notes, second by second, who answered.
type timeline struct {
	w     *World
	l     *failover.Load
	began time.Time
	last  failover.Figures
	text  strings.Builder
}

func (tl *timeline) note(what string) {
	fmt.Fprintf(&tl.text, "%6.1f s  -- %s\n", time.Since(tl.began).Seconds(), what)
}

// String returns what was noted.
func (tl *timeline) String() string { return tl.text.String() }

// until writes a line per second until is says so, or for as long as bound; it returns eu-west's shares.
func (tl *timeline) until(t *testing.T, bound time.Duration, is func() bool) (shares []float64) {
	t.Helper()
	end := time.After(bound)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case <-end:
			return shares
		case <-look.C:
			if is() {
				return shares
			}
		case <-tick.C:
			now := tl.l.Figures()
			r := tl.w.Region(t.Context(), UsEast, EuWest)
			shares = append(shares, r.Share)
			fmt.Fprintf(&tl.text, "%6.1f s  eu-west %-10s share %3.0f %%  answers/s: eu-west %4d, ap-south %4d, safe calls failed %d\n", time.Since(tl.began).Seconds(),
				r.State, 100*r.Share, from(now, tl.last, EuWest), from(now, tl.last, ApSouth), now.SafeLost-tl.last.SafeLost)
			tl.last = now
		}
	}
}

// One link is cut, and both its ends still reach the third region: nobody is evacuated, and requests go
// around it. The control lets one vantage decide.
func TestOneCutLink(t *testing.T) {
	b := binary(t)
	const watched = 8 * time.Second // five times as long as an evacuation takes to begin
	run := func(t *testing.T, failover string) (evacuated bool, res int64) {
		s := seed(t)
		w := Start(t, Options{Binary: b, Seed: s, Failover: failover})
		l := load(t, w, s, everybody)
		before := l.Figures()
		until(t, 20*time.Second, "eu-west serves", func() bool { return from(l.Figures(), before, EuWest) > 50 })
		w.Cut(UsEast, EuWest)
		end := time.After(watched)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for watching := true; watching; {
			select {
			case <-end:
				watching = false
			case <-tick.C:
				for _, at := range []string{UsEast, ApSouth} {
					for _, r := range w.Regions(t.Context(), at) {
						evacuated = evacuated || r.State == "evacuating" || r.State == "off"
					}
				}
			}
		}
		after := l.Figures()
		l.Stop()
		f := l.Figures()
		r := w.Region(t.Context(), UsEast, EuWest)
		t.Logf("failover {%s}: evacuated %v; eu-west is %s (%s); answers during the cut: eu-west %d, ap-south %d; %d safe calls of %d failed, %d sessions lost",
			failover, evacuated, r.State, r.Cause, from(after, before, EuWest), from(after, before, ApSouth), f.SafeLost, f.Calls, f.SessionsLost)
		if f.SessionsLost != 0 {
			t.Errorf("%d sessions lost", f.SessionsLost)
		}
		return evacuated, f.SafeLost
	}
	if evacuated, lost := run(t, "interval: 500ms, failures: 3, hold_down: 3s, ramp: 4s, evacuate: 2s"); evacuated || lost != 0 {
		t.Errorf("evacuated %v, %d safe calls failed", evacuated, lost)
	}
	t.Run("control: one vantage", func(t *testing.T) {
		if evacuated, _ := run(t, "interval: 500ms, failures: 3, hold_down: 3s, ramp: 4s, evacuate: 2s, vantages: 1"); !evacuated {
			t.Error("one vantage did not evacuate: this test could not see an evacuation")
		}
	})
}
