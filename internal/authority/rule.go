package authority

import (
	"bytes"
	"cmp"
	"slices"
	"time"
)

// Rule says which sets of voters permit writing. It is monotone (more voters never permit less) and
// self-intersecting (no two disjoint sets permit).
type Rule interface {
	// Satisfied reports whether the voters for which has is true permit.
	Satisfied(has func(voter string) bool) bool
}

// Rules reads rules out of the log. Its answers are part of the replicated state: for the same input every
// gateway, of whatever release, must get the same one.
type Rules interface {
	// Parse reads a rule and proves it self-intersecting.
	Parse(source []byte) (Rule, error)
	// Admit refuses rules that voters of this number should not be given, such as a majority of two.
	// declared is how many voters the fleet is to have in the end.
	Admit(rule Rule, voters []Member, declared int) error
}

// Quorum is a rule over the voters it was made for, and the promise that goes with it.
type Quorum struct {
	Rule    Rule          `json:"-"`
	Source  []byte        `json:"source"`
	Voters  []Member      `json:"voters"`  // by name
	Promise time.Duration `json:"promise"` // P, in nanoseconds
}

// Satisfied reports whether the voters for which has is true permit. A voter under another store is a stranger.
func (q *Quorum) Satisfied(has func(VoterID) bool) bool {
	return q.Rule.Satisfied(func(name string) bool {
		i, known := q.find(name)
		return known && has(q.Voters[i].VoterID)
	})
}

func (q *Quorum) find(name string) (int, bool) {
	return slices.BinarySearchFunc(q.Voters, name, func(m Member, name string) int { return cmp.Compare(m.Name, name) })
}

// deadline returns the latest time until which some satisfying set stands whole, given until when each voter's
// ack counts; 0 where no set satisfies the rule.
func (q *Quorum) deadline(until map[VoterID]time.Duration) time.Duration {
	var times []time.Duration
	for _, m := range q.Voters {
		if t, ok := until[m.VoterID]; ok {
			times = append(times, t)
		}
	}
	slices.SortFunc(times, func(a, b time.Duration) int { return cmp.Compare(b, a) })
	// The rule is monotone: the latest acks are tried first, and the one that completes a set is its earliest.
	for _, t := range slices.Compact(times) {
		if q.Satisfied(func(v VoterID) bool { u, ok := until[v]; return ok && u >= t }) {
			return t
		}
	}
	return 0
}

// DefaultPromise is P for heartbeats at this interval over links with this round trip: room for three that are
// lost, and never less than 600 ms, so that neither distance nor loss closes a gate.
func DefaultPromise(interval, roundTrip time.Duration) time.Duration {
	return min(max(600*time.Millisecond, 4*(interval+roundTrip)), MostPromise)
}

// Ruling is the quorum rule in force. While a change is under way it is joint: both rules must be satisfied.
type Ruling struct {
	Version Version `json:"version"`
	Now     Quorum  `json:"now"`
	Before  *Quorum `json:"before,omitempty"` // the rule being left; nil unless joint
	Barrier Index   `json:"barrier"`          // the entry that began the change; 0 unless joint
}

// Joint reports whether a change is under way.
func (r *Ruling) Joint() bool { return r.Before != nil }

// Asks reports whether the ruling needs the same voters as an earlier one, in every rule that counts: what differs is
// the promise at most.
func (r *Ruling) Asks(earlier *Ruling) bool {
	same := func(q *Quorum) bool {
		return bytes.Equal(q.Source, earlier.Now.Source) && slices.EqualFunc(q.Voters, earlier.Now.Voters, func(a, b Member) bool { return a.VoterID == b.VoterID })
	}
	return same(&r.Now) && (r.Before == nil || same(r.Before)) && (earlier.Before == nil || same(earlier.Before))
}

// Satisfied reports whether the voters for which has is true permit.
func (r *Ruling) Satisfied(has func(VoterID) bool) bool {
	return r.Now.Rule != nil && r.Now.Satisfied(has) && (r.Before == nil || r.Before.Satisfied(has))
}

// SatisfiedBy reports whether these voters permit.
func (r *Ruling) SatisfiedBy(voters []VoterID) bool {
	return r.Satisfied(func(v VoterID) bool { return slices.Contains(voters, v) })
}

func (r *Ruling) deadline(until map[VoterID]time.Duration) time.Duration {
	if r.Now.Rule == nil {
		return 0
	}
	d := r.Now.deadline(until)
	if r.Before != nil {
		d = min(d, r.Before.deadline(until))
	}
	return d
}

// Voters returns every voter whose acks count, those of both rules while it is joint, by name and store.
func (r *Ruling) Voters() []VoterID {
	var all []VoterID
	for _, m := range r.Now.Voters {
		all = append(all, m.VoterID)
	}
	if r.Before != nil {
		for _, m := range r.Before.Voters {
			all = append(all, m.VoterID)
		}
	}
	slices.SortFunc(all, func(a, b VoterID) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Store, b.Store)) })
	return slices.Compact(all)
}
