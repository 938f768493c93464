// Package report writes what a run showed: one page of text, and a picture of gates against faults. It must not
// judge, nor know how a run is made: it is given a history and its verdict.
package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/quorate/quorate/internal/chaos/history"
)

// The floors that the figures are printed against.
const (
	handledFloor   = 15 * time.Second
	recoveredFloor = 30 * time.Second
)

// shown bounds the violations of one run that are written out.
const shown = 20

// Text is one page about one run.
func Text(h *history.History, v history.Verdict) string {
	f := v.Figures
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n%s, slack %s, machine late by up to %s. %d effects, %d past the gate of a stopped gateway, %d epochs, %d changes of the rule.\n\n%s\n",
		h.Title, Line(h, f), h.Bounds.Slack, took(f.Noise), f.Effects, f.PastGate, f.FencesSeen, f.RuleChanges, Episodes(f.Handlings))
	fmt.Fprintf(&b, "longest: last effect of a losing side %s (lease %s), handled %s (floor %s), recovered %s (floor %s)\n",
		took(f.LastLosing), took(h.Bounds.Lease), took(f.Handled), handledFloor, took(f.Recovered), recoveredFloor)
	if f.Losing > 0 && f.LosingAsked == 0 {
		b.WriteString("WEAK: no losing gateway was asked for a write after its lease, so nothing is shown of it\n")
	}
	b.WriteString(Sessions(f.Sessions))
	b.WriteString(Violations(v))
	return b.String()
}

// Sessions says what was seen of sessions, "" if nothing.
func Sessions(f history.SessionFigures) string {
	if f.Class == "" {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "sessions (%s): %d opened; %d changes: %d answered (%d of them the tail of a minority), %d refused, %d unknown; %d looks, %d without an answer\n",
		f.Class, f.Sessions, f.Changes, f.Outcomes[string(history.OK)], f.Tail, f.Outcomes[string(history.Refused)], f.Outcomes[string(history.Unknown)], f.Looks, f.LooksFailed)
	fmt.Fprintf(&b, "  of %d changes through gateways that may write %d were made (%.1f %%); %d acknowledged ones lost, the oldest %s before its fault, longest lag said %s; %d histories undecided\n",
		f.Asked, f.Answered, percent(f.Answered, f.Asked), f.Lost, took(f.LongestLoss), took(f.MostLag), f.Undecided)
	fmt.Fprintf(&b, "  effects in them by owner: %s; another owner than before: %d times\n", counts(f.Owners), f.Moves)
	return b.String()
}

func percent(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return 100 * float64(part) / float64(whole)
}

// counts are by name.
func counts(of map[string]int) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(of)) {
		all = append(all, fmt.Sprintf("%s %d", name, of[name]))
	}
	return strings.Join(all, ", ")
}

// Line is a run in one line.
func Line(h *history.History, f history.Figures) string {
	return fmt.Sprintf("lease %s; %d writes: %d answered, %d refused, %d unknown (%.2f %%); %d reads, %d without an answer",
		took(h.Bounds.Lease), f.Writes, f.Outcomes[string(history.OK)], f.Outcomes[string(history.Refused)],
		f.Outcomes[string(history.Unknown)], 100*f.UnknownRate, f.Reads, f.ReadsFailed)
}

// Episodes is a table with a line for each.
func Episodes(all []history.Handling) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "at\tepisode\theld\tlosing\tits last effect\tasked after\tfirst right write\trecovered\tterms")
	for _, h := range all {
		fmt.Fprintf(w, "%.1f s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\t%d\n", h.Begin.Seconds(), h.Name, took(h.Heal-h.Begin), parts(h),
			took(h.LastLosing), h.Asked, took(h.FirstWinning), took(h.Recovered), h.Terms)
	}
	_ = w.Flush() // a strings.Builder takes everything
	return b.String()
}

// parts says how many gateways lose, of how many.
func parts(h history.Handling) string { return fmt.Sprintf("%d of %d", h.Losers, len(h.Parts)) }

// took is a duration for people; "-" for what never was.
func took(d time.Duration) string {
	if d < 0 {
		return "-"
	}
	return d.Round(time.Millisecond).String()
}

// Violations are the first of them, a line each, and how many there are.
func Violations(v history.Verdict) string {
	var b strings.Builder
	for i, x := range v.Violations {
		if i == shown {
			fmt.Fprintf(&b, "  and %d more\n", len(v.Violations)-shown)
			break
		}
		fmt.Fprintf(&b, "  VIOLATION %s\n", x)
	}
	fmt.Fprintf(&b, "%d violations\n", len(v.Violations))
	return b.String()
}
