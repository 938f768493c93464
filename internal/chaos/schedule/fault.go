// Package schedule decides what is to happen to a fleet: from one seed, or every case there is. It must not know
// how a fault is made, processes, networks or clocks; the same seed gives the same schedule for ever.
package schedule

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Kind is what a fault does.
type Kind string

// The kinds of faults.
const (
	Cut    Kind = "cut"    // both ways between From and To
	OneWay Kind = "oneway" // from From to To only
	Loss   Kind = "loss"   // part of the packets, both ways
	Flap   Kind = "flap"   // cut and healed in turn, each for For
	Kill   Kind = "kill"   // SIGKILL of From, started again after For
	Freeze Kind = "freeze" // SIGSTOP of From, SIGCONT after For
	Hang   Kind = "hang"   // SIGSTOP of Count of the nodes beside From
	Clock  Kind = "clock"  // From's wall clock goes wrong by Shift
	Full   Kind = "full"   // From's disk is full
	Power  Kind = "power"  // SIGKILL of From, and what its disk was not made to keep is gone; started again after For
	Sync   Kind = "sync"   // From's disk keeps all that was written to it, as any does from time to time
	Wipe   Kind = "wipe"   // SIGKILL of From, and its data are gone; started again after For
	Rule   Kind = "rule"   // the master becomes To
	Vote   Kind = "vote"   // To becomes a voter
	Unvote Kind = "unvote" // To is one no more
	Burn   Kind = "burn"   // Count processes use all the CPU they get
	// Upgrade stops From in order and starts it with the binary that is tried.
	Upgrade Kind = "upgrade"
)

// Names that stand for a gateway, by what it does when the fault is made.
const (
	Leader   = "leader"   // leads the control group
	Follower = "follower" // the first one that does not
)

// Fault is one fault. Names are those of gateways.
type Fault struct {
	Kind  Kind          `json:"kind"`
	From  []string      `json:"from,omitempty"`
	To    []string      `json:"to,omitempty"` // of lines; none: all others
	Loss  float64       `json:"loss,omitempty"`
	For   time.Duration `json:"for,omitempty"` // 0: until the episode ends
	Shift time.Duration `json:"shift,omitempty"`
	Count int           `json:"count,omitempty"`
	// After is a pause before the fault is made, while those before it in the episode stand.
	After time.Duration `json:"after,omitempty"`
}

// String is the fault in a few words.
func (f Fault) String() string {
	if f.After > 0 {
		return fmt.Sprintf("%s later %s", f.After, f.words())
	}
	return f.words()
}

func (f Fault) words() string {
	side := func(names []string) string {
		if len(names) == 0 {
			return "others"
		}
		return strings.Join(names, ",")
	}
	from, to := side(f.From), side(f.To)
	switch f.Kind {
	case Cut:
		return fmt.Sprintf("cut %s | %s", from, to) + f.during()
	case OneWay:
		return fmt.Sprintf("one way %s > %s", from, to) + f.during()
	case Loss:
		return fmt.Sprintf("loss %.0f %% %s | %s", 100*f.Loss, from, to)
	case Flap:
		return fmt.Sprintf("flap %s %s | %s", f.For, from, to)
	case Clock:
		return fmt.Sprintf("clock %s %+.0f min", from, f.Shift.Minutes())
	case Rule:
		return "master " + to
	case Hang:
		return fmt.Sprintf("hang %d nodes of %s", f.Count, from)
	case Vote, Unvote:
		return fmt.Sprintf("%s %s", f.Kind, to)
	case Burn:
		return fmt.Sprintf("%d CPU burners", f.Count)
	}
	if f.For > 0 {
		return fmt.Sprintf("%s %s %s", f.Kind, from, f.For)
	}
	return fmt.Sprintf("%s %s", f.Kind, from)
}

// during is how long a fault lasts that has a time of its own.
func (f Fault) during() string {
	if f.For == 0 {
		return ""
	}
	return fmt.Sprintf(" for %s", f.For)
}

// Resolve puts names where the fault says Leader or Follower. Who is on both sides then is left out of To, or the
// fault would cut it from itself; with nobody left there, it is cut from all others.
func (f Fault) Resolve(leader string, all []string) Fault {
	stand := map[string]string{Leader: leader}
	if i := slices.IndexFunc(all, func(n string) bool { return n != leader }); i >= 0 {
		stand[Follower] = all[i]
	}
	put := func(names []string) []string {
		out := slices.Clone(names)
		for i, n := range out {
			if name, ok := stand[n]; ok {
				out[i] = name
			}
		}
		return out
	}
	f.From, f.To = put(f.From), put(f.To)
	f.To = slices.DeleteFunc(f.To, func(n string) bool { return slices.Contains(f.From, n) })
	return f
}

// Asks reports whether the fault is about whoever leads or follows.
func (f Fault) Asks() bool {
	return slices.ContainsFunc(slices.Concat(f.From, f.To), func(n string) bool { return n == Leader || n == Follower })
}

// Ways are the directed lines that the fault is about, among all gateways.
func (f Fault) Ways(all []string) (ways [][2]string) {
	to := f.To
	if len(to) == 0 {
		to = slices.DeleteFunc(slices.Clone(all), func(n string) bool { return slices.Contains(f.From, n) })
	}
	for _, a := range f.From {
		for _, b := range to {
			ways = append(ways, [2]string{a, b})
			if f.Kind != OneWay {
				ways = append(ways, [2]string{b, a})
			}
		}
	}
	return ways
}
