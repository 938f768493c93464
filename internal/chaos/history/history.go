// Package history is what one chaos run leaves behind (calls, effects, faults) and the judge of it. It must not
// know how a run is made, sockets, files, processes or clocks: a history is data, and so is a verdict.
//
// Effects judge, not what a gateway says of itself: a node's journal names what was executed and when. All times
// of a history are readings of one monotonic clock, which every network namespace of a machine shares.
package history

import (
	"sort"
	"time"

	"github.com/quorate/quorate/strategies"
)

// Time is since the run began.
type Time = time.Duration

// Gateway is one member of the fleet.
type Gateway struct {
	Name   string          `json:"name"`
	Region string          `json:"region"`
	Role   strategies.Role `json:"role"` // a witness has no agents and no effects
}

// Outcome is how a call ended for its agent.
type Outcome string

// The outcomes.
const (
	OK      Outcome = "ok"      // answered: executed
	Refused Outcome = "refused" // told that nothing ran
	Unknown Outcome = "unknown" // told nothing, or that nobody knows
)

// Call is one write or read of an agent.
type Call struct {
	ID      string  `json:"id"`
	Gateway string  `json:"gateway"`           // that the agent spoke to
	Kind    string  `json:"kind"`              // "write" or "read"
	Session string  `json:"session,omitempty"` // that any gateway may serve, and in which one call was made after the other
	Again   bool    `json:"again,omitempty"`   // of a write: more than once is the same as once
	Invoke  Time    `json:"invoke"`
	Return  Time    `json:"return"`
	Outcome Outcome `json:"outcome"`
	Code    int     `json:"code,omitempty"` // of the JSON-RPC error
	Text    string  `json:"text,omitempty"` // of what went wrong, cut
}

// Kinds of calls.
const (
	Write = "write"
	Read  = "read"
)

// Effect is one execution, out of a node's journal.
type Effect struct {
	Call    string `json:"call"`
	Node    string `json:"node"`
	Gateway string `json:"gateway"` // that dispatched it
	At      Time   `json:"at"`      // when the node began
	Done    bool   `json:"done"`    // the node also ended it
	Fence   uint64 `json:"fence,omitempty"`
	Checked bool   `json:"checked,omitempty"` // the node refuses old fences
}

// Change is one change of the world. A change that takes something away (Down) is noted after it was made, one that
// gives something back before: so what the history holds for up is never less than what was.
type Change struct {
	At   Time   `json:"at"`
	From string `json:"from"` // a gateway, or a node that is stopped
	To   string `json:"to"`   // the other end of a directed link; "" is the process itself
	Down bool   `json:"down"`
	Stop bool   `json:"stop,omitempty"` // of a process: stopped (SIGSTOP) and not dead
}

// InForce is a quorum rule that may be in force from one time until another.
type InForce struct {
	From  Time   `json:"from"`
	Until Time   `json:"until,omitempty"` // 0: the end
	Rule  string `json:"rule"`            // as strategies.Parse takes it
}

// Noise is how late the machine woke up a process that only waits, when that was noticeable. What it was late by, a
// node may have been late to note an effect.
type Noise struct {
	At   Time          `json:"at"`
	Late time.Duration `json:"late"`
}

// Settled is a time at which every gateway had applied one rule, which was not changing.
type Settled struct {
	At   Time   `json:"at"`
	Rule string `json:"rule"` // in the control group's words
}

// Sealing is a change of the quorum rule as two entries of the control group's log: from Began on both rules count,
// from Finished on the new one alone.
type Sealing struct {
	Began    uint64 `json:"began"`
	Finished uint64 `json:"finished"`
}

// Episode is a time with one or more faults, for the figures.
type Episode struct {
	Name  string `json:"name"`
	Start Time   `json:"start"` // the first fault was about to be made
	Begin Time   `json:"begin"` // the last one had been
	Heal  Time   `json:"heal"`  // the first was about to be taken away
	Quiet Time   `json:"quiet"` // no other fault is made before this
	// Whole: the fleet is judged to converge after this episode; false where the next fault came too soon.
	Whole bool `json:"whole"`
	// What the episode must not do: Calm, refuse a write, leave one unknown or begin an epoch; Safe, leave a read
	// without an answer; MostTerms, when not 0, change the term of the control group more often.
	Calm      bool `json:"calm,omitempty"`
	Safe      bool `json:"safe,omitempty"`
	MostTerms int  `json:"most_terms,omitempty"`
	Terms     int  `json:"terms,omitempty"` // changes of the term
}

// Sample is what a gateway said of its gate. Nothing is judged by it.
type Sample struct {
	Gateway string `json:"gateway"`
	At      Time   `json:"at"`
	Open    bool   `json:"open"`
}

// Bounds are what a fleet is held to.
type Bounds struct {
	// Lease is the longest that a gate may stay open on an acknowledgement, from the sending of its heartbeat.
	Lease time.Duration `json:"lease"`
	// Slack is the machine's: from the gate's last look at its clock until a node has noted the effect.
	Slack time.Duration `json:"slack"`
	// Converge is how long after a heal every gateway must write again.
	Converge time.Duration `json:"converge"`
	// Handled is how long after a fault the side that may write must write.
	Handled time.Duration `json:"handled"`
}

// History is one run.
type History struct {
	Seed     uint64    `json:"seed"`
	Title    string    `json:"title"`
	Gateways []Gateway `json:"gateways"`
	Rules    []InForce `json:"rules"`
	Bounds   Bounds    `json:"bounds"`
	Changes  []Change  `json:"changes"`
	Episodes []Episode `json:"episodes"`
	Settled  []Settled `json:"settled,omitempty"`
	Sealings []Sealing `json:"sealings,omitempty"`
	// LastIndex is the last entry of the control group's log at the end; 0: unknown.
	LastIndex uint64    `json:"last_index,omitempty"`
	End       Time      `json:"end"` // agents were told to stop
	Calls     []Call    `json:"calls"`
	Effects   []Effect  `json:"effects"`
	Samples   []Sample  `json:"samples,omitempty"`
	Noises    []Noise   `json:"noises,omitempty"`   // in the order of time
	Sessions  *Sessions `json:"sessions,omitempty"` // nil: none were looked at
}

// serving returns the gateways that carry traffic.
func (h *History) serving() (names []string) {
	for _, g := range h.Gateways {
		if g.Role != strategies.Witness {
			names = append(names, g.Name)
		}
	}
	return names
}

// voters returns the names of those whose acknowledgements count.
func (h *History) voters() (names []string) {
	for _, g := range h.Gateways {
		if g.Role.Votes() {
			names = append(names, g.Name)
		}
	}
	return names
}

// slack is what the machine may have added to the time of an effect: what it always may, and how late it was around
// that time.
func (h *History) slack(at Time) time.Duration {
	const around = time.Second
	most := time.Duration(0)
	i := sort.Search(len(h.Noises), func(i int) bool { return h.Noises[i].At >= at-around })
	for ; i < len(h.Noises) && h.Noises[i].At <= at+around; i++ {
		most = max(most, h.Noises[i].Late)
	}
	return h.Bounds.Slack + most
}

// window is how far an effect looks back for what its gate may rest on.
func (h *History) window(at Time) time.Duration { return h.Bounds.Lease + h.slack(at) }
