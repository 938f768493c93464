// Package events keeps a gateway's latest authority events in memory, so that they can be read when everything else
// is cut. It must not know who reads them, what caused them, nor any file or socket.
package events

import (
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// The kinds of events, words for scripts: add, never rename.
const (
	GateOpened    = "gate_opened"            // this gateway may write
	GateClosed    = "gate_closed"            // it may not, and why
	Bootstrapped  = "bootstrapped"           // the cluster began
	Joined        = "joined"                 // a life of a gateway began
	Left          = "left"                   // it ended by its own word
	Suspected     = "suspected"              // voters help it no more
	Cleared       = "cleared"                // the suspicion was taken back
	Fenced        = "fenced"                 // its life was ended
	Removed       = "removed"                // the gateway is forgotten
	RuleChanging  = "rule_change_began"      // both rules are needed
	RuleChanged   = "rule_change_finished"   // a quorum rule came into force
	RuleRestored  = "rule_change_taken_back" // a change was taken back
	LeaderChanged = "leader_changed"         // another gateway leads, or none
	VotersChanged = "voters_changed"         // a voter came or went
	Forced        = "forced"                 // an operator attested that the other side is off
	Restored      = "restored"               // the state came from a snapshot
	Refused       = "refused"                // the fleet refuses this gateway's store
	StoreLost     = "store_lost"             // this gateway returns as a new member
	VoterFailed   = "voter_failed"           // this voter's promises cannot be written

	PlanChanged    = "plan_changed"    // a service's sessions are kept otherwise
	PlannerChanged = "planner_changed" // a replication strategy fails, or works again
)

// Event is one thing that happened. At is this gateway's wall clock: for people, never for order.
type Event struct {
	Seq     uint64 // the first is 1; one more for each
	At      time.Time
	Kind    string // a word for scripts, such as gate_closed
	Gateway string // that it is about; "" where it is about none
	Text    string // one sentence for people
}

// Bounds of an event's words, in bytes; what is longer is cut.
const (
	maxKind    = 64
	maxGateway = 255
	maxText    = 1024
)

// Most is the largest size of a ring.
const Most = 1 << 16

// Ring keeps the latest events. It is safe for concurrent use; no call waits for longer than copying them takes.
type Ring struct {
	now   func() time.Time
	began time.Time

	mu    sync.Mutex
	slots []Event // event seq is at (seq-1) % len
	last  uint64
}

// New returns an empty ring for the latest size events, 1 to Most. now is the wall clock; nil: time.Now.
func New(size int, now func() time.Time) (*Ring, error) {
	if size < 1 || size > Most {
		return nil, fmt.Errorf("events: new: size %d is outside 1..%d", size, Most)
	}
	if now == nil {
		now = time.Now
	}
	return &Ring{now: now, began: now(), slots: make([]Event, size)}, nil
}

// Add appends an event; the oldest is forgotten when the ring is full. Its words may be a peer's.
func (r *Ring) Add(kind, gateway, text string) {
	e := Event{Kind: cut(kind, maxKind), Gateway: cut(gateway, maxGateway), Text: cut(text, maxText)}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last++
	e.Seq, e.At = r.last, r.now()
	r.slots[(e.Seq-1)%uint64(len(r.slots))] = e
}

// Page is what a reader gets.
type Page struct {
	Events []Event // newest last
	Last   uint64  // the newest event's number; 0: none yet
	Missed uint64  // events after the reader's that are forgotten already
	Began  time.Time
}

// After returns the events after number seq. A number that this ring has not reached is of an earlier process: the
// reader gets everything.
func (r *Ring) After(seq uint64) Page {
	r.mu.Lock()
	defer r.mu.Unlock()
	if seq > r.last {
		seq = 0
	}
	p := Page{Last: r.last, Began: r.began}
	first := seq + 1
	if size := uint64(len(r.slots)); r.last > size && first <= r.last-size {
		p.Missed = r.last - size - seq
		first = r.last - size + 1
	}
	p.Events = make([]Event, 0, r.last+1-first)
	for n := first; n <= r.last; n++ {
		p.Events = append(p.Events, r.slots[(n-1)%uint64(len(r.slots))])
	}
	return p
}

// cut keeps words that may be a peer's on one line and bounds them, without breaking a character.
func cut(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
	if len(s) <= most {
		return s
	}
	for s = s[:most]; !utf8.ValidString(s); {
		s = s[:len(s)-1]
	}
	return s
}
