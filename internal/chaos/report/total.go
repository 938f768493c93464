package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/chaos/history"
)

// Total is many runs. The zero value is none.
type Total struct {
	Runs       int
	failed     []string
	violations int
	episodes   int
	sum        history.Figures
	losing     []time.Duration // last effects of losing sides
	winning    []time.Duration // first writes of winning ones
	recovered  []time.Duration
}

// Add adds a run.
func (t *Total) Add(name string, violations int, problem string, f history.Figures) {
	t.Runs++
	t.violations += violations
	if violations > 0 || problem != "" {
		t.failed = append(t.failed, name)
	}
	t.episodes += len(f.Handlings)
	t.sum.Writes += f.Writes
	t.sum.Reads += f.Reads
	t.sum.ReadsFailed += f.ReadsFailed
	t.sum.Effects += f.Effects
	t.sum.PastGate += f.PastGate
	t.sum.Losing += f.Losing
	t.sum.LosingAsked += f.LosingAsked
	t.unknown(f)
	t.sessions(f.Sessions)
	for _, h := range f.Handlings {
		t.losing = appendTime(t.losing, h.LastLosing)
		t.winning = appendTime(t.winning, h.FirstWinning)
		t.recovered = appendTime(t.recovered, h.Recovered)
	}
}

func (t *Total) unknown(f history.Figures) {
	if t.sum.Outcomes == nil {
		t.sum.Outcomes = map[string]int{}
	}
	for o, n := range f.Outcomes {
		t.sum.Outcomes[o] += n
	}
}

// sessions adds up what was seen of sessions; runs of both classes are told by neither's name.
func (t *Total) sessions(f history.SessionFigures) {
	s := &t.sum.Sessions
	if f.Class == "" {
		return
	}
	if s.Class == "" {
		s.Class, s.Outcomes, s.Owners = f.Class, map[string]int{}, map[string]int{}
	}
	if s.Class != f.Class {
		s.Class = "mixed"
	}
	s.Sessions, s.Changes, s.Looks, s.LooksFailed = s.Sessions+f.Sessions, s.Changes+f.Changes, s.Looks+f.Looks, s.LooksFailed+f.LooksFailed
	s.Tail, s.Asked, s.Answered, s.Lost = s.Tail+f.Tail, s.Asked+f.Asked, s.Answered+f.Answered, s.Lost+f.Lost
	s.LongestLoss, s.MostLag = max(s.LongestLoss, f.LongestLoss), max(s.MostLag, f.MostLag)
	s.Undecided, s.Moves = s.Undecided+f.Undecided, s.Moves+f.Moves
	for o, n := range f.Outcomes {
		s.Outcomes[o] += n
	}
	for g, n := range f.Owners {
		s.Owners[g] += n
	}
}

func appendTime(all []time.Duration, d time.Duration) []time.Duration {
	if d < 0 {
		return all
	}
	return append(all, d)
}

// Failed is how many runs did not pass.
func (t *Total) Failed() int { return len(t.failed) }

// Page says it on one page. No violation in N runs that were drawn at random bounds the rate of violations at 3/N with
// 95 % confidence.
func (t *Total) Page(random bool) string {
	var b strings.Builder
	f := t.sum
	rate := 0.0
	if f.Writes > 0 {
		rate = 100 * float64(f.Outcomes[string(history.Unknown)]) / float64(f.Writes)
	}
	fmt.Fprintf(&b, "%d episodes; %d writes: %d answered, %d refused, %d unknown (%.2f %%); %d effects; %d reads, %d without an answer\n",
		t.episodes, f.Writes, f.Outcomes[string(history.OK)], f.Outcomes[string(history.Refused)], f.Outcomes[string(history.Unknown)], rate,
		f.Effects, f.Reads, f.ReadsFailed)
	fmt.Fprintf(&b, "%d episodes with a losing side, which was asked for %d writes after its lease; %d effects past the gate of a stopped gateway\n",
		f.Losing, f.LosingAsked, f.PastGate)
	for _, q := range []struct {
		name string
		all  []time.Duration
	}{{"last effect of a losing side", t.losing}, {"first write of the right side", t.winning}, {"recovered after the heal", t.recovered}} {
		fmt.Fprintf(&b, "  %-30s p50 %s  p99 %s  longest %s  (%d)\n", q.name, took(quantile(q.all, .5)), took(quantile(q.all, .99)), took(quantile(q.all, 1)), len(q.all))
	}
	b.WriteString(Sessions(f.Sessions))
	fmt.Fprintf(&b, "floors: a partition handled within %s, recovered within %s\n", handledFloor, recoveredFloor)
	switch {
	case len(t.failed) > 0:
		fmt.Fprintf(&b, "%d violations; failed: %s\n", t.violations, strings.Join(t.failed, ", "))
	case !random:
		b.WriteString("0 violations\n")
	case t.Runs > 0:
		fmt.Fprintf(&b, "0 violations in %d runs: with 95 %% confidence fewer than %.4g of all such runs have one\n", t.Runs, min(1, 3/float64(t.Runs)))
	}
	return b.String()
}

// quantile is -1 of nothing.
func quantile(all []time.Duration, q float64) time.Duration {
	if len(all) == 0 {
		return -1
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}
