package history

import (
	"slices"
	"time"
)

// Figures are what a run measured.
type Figures struct {
	Writes, Reads       int            // calls made
	Effects             int            // executed
	Outcomes            map[string]int // of writes, by outcome
	ReadsFailed         int            // reads without an answer
	UnknownRate         float64        // I10: part of the writes whose outcome is unknown
	Stale               int            // effects that must not be
	PastGate            int            // effects of calls that were in a gateway when it was stopped
	Handlings           []Handling     // by episode
	Handled, Recovered  time.Duration  // the longest of all episodes; -1: none
	LastLosing          time.Duration  // the longest
	Noise               time.Duration  // the longest that the machine was late by
	FencesSeen          int            // different fences that nodes saw
	RuleChanges         int            // that were finished
	Sessions            SessionFigures
	LosingAsked, Losing int // writes asked of losing gateways after their lease; episodes with such
}

func (j *judge) count() {
	f := &j.figures
	f.Effects, f.Outcomes = len(j.byTime), map[string]int{}
	for _, c := range j.Calls {
		if c.Kind == Read {
			f.Reads++
			if c.Outcome != OK {
				f.ReadsFailed++
			}
			continue
		}
		f.Writes++
		f.Outcomes[string(c.Outcome)]++
	}
	if f.Writes > 0 {
		f.UnknownRate = float64(f.Outcomes[string(Unknown)]) / float64(f.Writes)
	}
	f.Handled, f.Recovered, f.LastLosing = never, never, never
	for _, h := range f.Handlings {
		f.Handled, f.Recovered, f.LastLosing = max(f.Handled, h.Handled()), max(f.Recovered, h.Recovered), max(f.LastLosing, h.LastLosing)
		if h.Losers > 0 {
			f.Losing++
			f.LosingAsked += h.Asked
		}
	}
	f.RuleChanges = len(j.Sealings)
	for _, n := range j.Noises {
		f.Noise = max(f.Noise, n.Late)
	}
	var fences []uint64
	for _, e := range j.byTime {
		fences = append(fences, e.Fence)
	}
	slices.Sort(fences)
	f.FencesSeen = len(slices.Compact(fences))
}
