package chaos_test

import (
	"os"
	"slices"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/chaos"
	"github.com/quorate/quorate/internal/chaos/history"
	"github.com/quorate/quorate/internal/chaos/schedule"
	"github.com/quorate/quorate/internal/gatewayproc"
	"github.com/quorate/quorate/internal/planted"
	"github.com/quorate/quorate/strategies/configuredmaster"
	"github.com/quorate/quorate/strategies/winnertakesall"
)

// plot is a schedule that shows a bug.
type plot struct {
	bug      string
	cfg      chaos.Config
	schedule schedule.Schedule
	want     string // what is violated, among others
	long     bool   // takes a minute
}

// plots are one or more for each bug.
func plots() []plot {
	isolated := three(schedule.Episode{Faults: []schedule.Fault{{Kind: schedule.Cut, From: []string{"gw-3"}}}, Hold: 3 * time.Second})
	line := three(schedule.Episode{Faults: []schedule.Fault{{Kind: schedule.Cut, From: []string{schedule.Leader}, To: []string{schedule.Follower}}}, Hold: 8 * time.Second, MostTerms: 1})
	// Calls that a hanging node holds up are sent to the next one when the gate is closed by now.
	heldUp := three(schedule.Episode{Faults: []schedule.Fault{{Kind: schedule.Cut, From: []string{"gw-3"}},
		{Kind: schedule.Hang, From: []string{"gw-3"}, Count: 2, After: 350 * time.Millisecond}}, Hold: 3 * time.Second})
	slow := func(beat time.Duration) chaos.Config { return chaos.Config{Interval: beat} } // and so promises of four times that
	many := chaos.Config{Lease: 600 * time.Millisecond, Agents: 6, Think: 150 * time.Millisecond}
	sessions := chaos.Config{Sessions: history.Quorum, Rovers: 12, Think: 50 * time.Millisecond}
	everybody := three(isolate("gw-1"), isolate("gw-2"), isolate("gw-3"), isolate(schedule.Leader))
	return []plot{
		{planted.Hasty, sessions, everybody, history.Lost, false},
		{planted.Squatter, sessions, everybody, history.Lost, false},
		{planted.Fsync, sessions, blackout(), history.Lost, false},
		{planted.Lease, chaos.Config{}, isolated, history.Closed, false},
		{planted.Alone, chaos.Config{}, isolated, history.Exclusive, false},
		{planted.Epoch, chaos.Config{}, isolated, history.Fences, false},
		{planted.Recheck, many, heldUp, history.Closed, false},
		{planted.PreVote, chaos.Config{}, line, history.Terms, false},
		{planted.Promise, slow(500 * time.Millisecond), masters(nobody), history.Exclusive, true},
		{planted.BootWait, slow(time.Second), masters(restarted), history.Exclusive, true},
		{planted.Untagged, slow(200 * time.Millisecond), masters(alone), history.Exclusive, true},
		{planted.Fsync, slow(200 * time.Millisecond), masters(powerless), history.Exclusive, true},
		{planted.Amnesia, slow(200 * time.Millisecond), emptied(), history.Exclusive, true},
	}
}

// isolate cuts a gateway off from the others.
func isolate(gateway string) schedule.Episode {
	return schedule.Episode{Faults: []schedule.Fault{{Kind: schedule.Cut, From: []string{gateway}}}, Hold: 3 * time.Second}
}

// masters changes the master of five gateways from gw-1 to gw-2 and back: one of them does not lead the control group,
// which would tell everybody of the change. gw-5 has fresh promises and lags.
func masters(faults func(old, now string) []schedule.Fault) schedule.Schedule {
	s := three(schedule.Episode{Faults: faults("gw-1", "gw-2"), Hold: 6 * time.Second}, schedule.Episode{Faults: faults("gw-2", "gw-1"), Hold: 6 * time.Second})
	s.Gateways, s.Strategy, s.Master = schedule.Voters(5), configuredmaster.Name, "gw-1"
	return s
}

// nobody is who gw-5 hears from during the change.
func nobody(_, now string) []schedule.Fault {
	return []schedule.Fault{{Kind: schedule.Cut, From: []string{"gw-5"}}, {Kind: schedule.Rule, To: []string{now}}}
}

// restarted are both masters, after they promised gw-5 and before they may help to change the rule.
func restarted(old, now string) []schedule.Fault {
	return []schedule.Fault{{Kind: schedule.Cut, From: []string{"gw-5"}}, {Kind: schedule.Rule, To: []string{now}},
		{Kind: schedule.Kill, From: []string{old, now}, For: 50 * time.Millisecond, After: 1200 * time.Millisecond}}
}

// alone with the old master is gw-5, and in the end both are cut off.
func alone(old, now string) []schedule.Fault {
	rest := []string{now, "gw-3", "gw-4"}
	return []schedule.Fault{{Kind: schedule.Cut, From: []string{"gw-5"}, To: rest}, {Kind: schedule.Rule, To: []string{now}},
		{Kind: schedule.Cut, From: []string{old}, To: rest, After: 3 * time.Second}}
}

// powerless is the old master, some time after the change. Its disk was made to keep what was before the change, and it
// comes back to gw-5 alone, which has heard of nothing. It does not lead the control group: it was away for a moment.
func powerless(old, now string) []schedule.Fault {
	rest := []string{now, "gw-3", "gw-4"}
	return []schedule.Fault{{Kind: schedule.Kill, From: []string{old}, For: 50 * time.Millisecond},
		{Kind: schedule.Sync, From: []string{old}, After: 4 * time.Second},
		{Kind: schedule.Cut, From: []string{"gw-5"}, To: rest}, {Kind: schedule.Rule, To: []string{now}},
		{Kind: schedule.Cut, From: []string{old}, To: rest, After: 3 * time.Second},
		{Kind: schedule.Power, From: []string{old}, For: 50 * time.Millisecond}}
}

// blackout takes the power from all voters at once. What came right before it is acknowledged, and was on no disk that
// anybody had waited for, unless each did.
func blackout() schedule.Schedule {
	all := []string{"gw-1", "gw-2", "gw-3"}
	return three(schedule.Episode{Hold: 5 * time.Second, Faults: []schedule.Fault{{Kind: schedule.Sync, From: all},
		{Kind: schedule.Power, From: all, For: 50 * time.Millisecond, After: 2 * time.Second}}})
}

// emptied is the old master, after it has helped to make gw-2 the new one. gw-3 was away, and by itself it is too few; with
// whoever forgot the change it is a majority, of the control group and of the rule from before.
func emptied() schedule.Schedule {
	s := three(schedule.Episode{Hold: 16 * time.Second, Faults: []schedule.Fault{
		{Kind: schedule.Cut, From: []string{"gw-3"}, For: 8 * time.Second}, {Kind: schedule.Rule, To: []string{"gw-2"}},
		{Kind: schedule.Cut, From: []string{"gw-2"}, After: 3 * time.Second},
		{Kind: schedule.Wipe, From: []string{"gw-1"}, For: 50 * time.Millisecond}}})
	s.Strategy, s.Master = configuredmaster.Name, "gw-1"
	return s
}

// three is a fleet of three voters under a majority rule.
func three(episodes ...schedule.Episode) schedule.Schedule {
	s := schedule.Schedule{Seed: uint64(time.Now().UnixNano()), Gateways: schedule.Voters(3), Strategy: winnertakesall.Name, Episodes: episodes}
	for i := range s.Episodes {
		s.Episodes[i].Name = s.Episodes[i].Faults[0].String()
	}
	return s
}

// A bug without a plot is one that nobody looks for. Those of copies are found by the test of internal/replica, and rooted by
// that of test/sessions.
func TestEveryBugHasAPlot(t *testing.T) {
	elsewhere := []string{planted.Ballot, planted.First, planted.Rooted}
	for _, bug := range planted.All() {
		plotted := slices.ContainsFunc(plots(), func(p plot) bool { return p.bug == bug })
		if plotted == slices.Contains(elsewhere, bug) {
			t.Errorf("%s has a plot: %t", bug, plotted)
		}
	}
}

// everyPlot is the variable that asks for the long ones, too.
const everyPlot = "CHAOS_EVERY_PLOT"

// tries is in how many runs of a plot a bug must be found: whether a call is under way at the moment that counts is chance.
// recheck showed in three of ten: a sixth of the times, five runs do not show it.
const tries = 15

// Every bug is found in the binary that has it, and nothing in the same binary without.
func TestPlantedBugs(t *testing.T) {
	needsNetwork(t)
	binary, err := gatewayproc.Build(t.Context(), t.TempDir(), gatewayproc.Package, "-tags", "quorate_planted")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range plots() {
		if p.long && os.Getenv(everyPlot) == "" {
			t.Logf("NOT TESTED: %s takes a minute; make chaos-planted", p.bug)
			continue
		}
		p.cfg.Binary = binary
		runs := 0
		t.Run(p.bug, func(t *testing.T) {
			for runs++; !p.found(t, p.bug); runs++ {
				if runs == tries {
					t.Fatalf("%s was not found in N=%d runs", p.want, runs)
				}
			}
			t.Logf("%s found in run %d", p.want, runs)
		})
		t.Run(p.bug+" left out", func(t *testing.T) {
			for range max(runs, 1) { // as often as it took to find the bug
				if p.found(t, "") {
					t.Fatalf("%s found without the bug", p.want)
				}
			}
		})
	}
}

// found runs the plot and reports whether the judge has found what is to be found, with a bug or, "", without.
func (p *plot) found(t *testing.T, bug string) bool {
	t.Helper()
	cfg, s := p.cfg, p.schedule
	cfg.Env, s.Seed = []string{"PLANTED_BUGS=" + bug}, uint64(time.Now().UnixNano())
	return slices.ContainsFunc(judgedOf(t, cfg, s).Violations, func(x history.Violation) bool { return x.What == p.want })
}
