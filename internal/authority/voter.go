package authority

import (
	"fmt"
	"time"
)

// Persist asks for a record to be written and synced; then Voter.Persisted is told its number, or Voter.Failed.
// Records are written in their order; where several wait, only the last needs to be written.
type Persist struct {
	Number uint64
	Record Record
}

// Voter keeps the promises of one voter. It is not safe for concurrent use.
//
// It acts by two records: what the log says, and what its disk holds. An ack needs the word of both, so that
// it never contradicts either. A confirmation needs the disk to hold the barrier.
type Voter struct {
	log, disk Record
	started   time.Duration
	number    uint64                 // of the last record asked for
	waiting   map[uint64]Record      // asked for, not yet confirmed; at most maxWaiting
	acked     map[Life]time.Duration // when a life was acked last, since the start
	latest    time.Duration          // when anyone was acked last
	any       bool                   // whether anyone was
	older     time.Duration          // when an ack last named an older version than log's
	anyOlder  bool
	failed    error
}

// maxWaiting bounds the records asked for and not confirmed. The oldest is forgotten: a later one holds more.
const maxWaiting = 64

// NewVoter returns the voter whose disk holds stored. now is its start: no earlier process of it may have acked
// anything later.
func NewVoter(stored Record, now time.Duration) (*Voter, error) {
	if stored.Voter.Name == "" || stored.Voter.Store == "" {
		return nil, fmt.Errorf("authority: voter: %q is no name and store", stored.Voter)
	}
	return &Voter{log: stored, disk: stored, started: now, waiting: map[uint64]Record{}, acked: map[Life]time.Duration{}}, nil
}

// Apply takes in what the log says, after an entry or a snapshot, and returns the record to persist, or nil.
// What the disk holds already is not changed again by entries that led there.
func (v *Voter) Apply(view View) *Persist {
	if view.Index <= v.log.Index || view.Ruling.Version < v.log.Version || v.failed != nil {
		return nil
	}
	next := v.log.next(view)
	if next.same(&v.log) {
		return nil
	}
	if next.Version != v.log.Version {
		v.older, v.anyOlder = v.latest, v.any
	}
	v.log = next
	v.prune()
	v.number++
	v.waiting[v.number] = next
	if v.number > maxWaiting {
		delete(v.waiting, v.number-maxWaiting)
	}
	return &Persist{Number: v.number, Record: next}
}

// prune forgets the acks of lives that have ended.
func (v *Voter) prune() {
	for l := range v.acked {
		if _, ok := v.log.standing(l); !ok {
			delete(v.acked, l)
		}
	}
}

// Persisted says that the record of this number is safe on disk.
func (v *Voter) Persisted(number uint64) {
	r, ok := v.waiting[number]
	if !ok || v.failed != nil {
		return
	}
	v.disk = r
	for n := range v.waiting {
		if n <= number {
			delete(v.waiting, n)
		}
	}
}

// Failed says that a record could not be made safe. What the disk holds is then unknown, so this voter is silent
// until it is started again from what it finds there.
func (v *Voter) Failed(err error) { v.failed = err }

// Err returns why the voter is silent, or nil.
func (v *Voter) Err() error { return v.failed }

// Heartbeat answers a gateway, or not.
func (v *Voter) Heartbeat(now time.Duration, h Heartbeat) (Ack, bool) {
	if v.failed != nil || v.log.Version == 0 || v.log.Version != v.disk.Version || !acks(&v.log, h.Life) || !acks(&v.disk, h.Life) {
		return Ack{}, false
	}
	v.acked[h.Life] = now
	v.latest, v.any = now, true
	return Ack{Voter: v.log.Voter, Life: h.Life, Seq: h.Seq, Version: v.log.Version, Promise: v.log.Promise}, true
}

// acks reports whether a record lets a life be acked.
func acks(r *Record, l Life) bool {
	s, ok := r.standing(l)
	return ok && s.Suspect == 0
}

// Confirmations returns every barrier that this voter stands behind now, to be told to the leader. It is asked
// again and again, since what it returns may be lost on the way; a barrier that is over is returned no more.
func (v *Voter) Confirmations(now time.Duration) []Confirmation {
	if v.failed != nil || now < v.started+v.log.Largest {
		return nil // what an earlier process promised may still stand
	}
	var all []Confirmation
	if b := v.log.Barrier; b != 0 && v.disk.Barrier == b && (!v.anyOlder || now >= v.older+v.log.Largest) {
		all = append(all, Confirmation{Voter: v.log.Voter, Barrier: b})
	}
	for _, s := range v.log.Lives {
		stored, ok := v.disk.standing(s.Life)
		if s.Suspect == 0 || !ok || stored.Suspect != s.Suspect {
			continue
		}
		if last, acked := v.acked[s.Life]; !acked || now >= last+v.log.Largest {
			all = append(all, Confirmation{Voter: v.log.Voter, Barrier: s.Suspect})
		}
	}
	return all
}

// Due returns when Confirmations will have more to say without anything else happening; 0: it does not wait for time.
func (v *Voter) Due(now time.Duration) time.Duration {
	if v.failed != nil {
		return 0
	}
	due := time.Duration(0)
	soonest := func(t time.Duration) {
		if t > now && (due == 0 || t < due) {
			due = t
		}
	}
	if v.log.Barrier != 0 && v.anyOlder {
		soonest(v.older + v.log.Largest)
	}
	for _, s := range v.log.Lives {
		if last, acked := v.acked[s.Life]; s.Suspect != 0 && acked {
			soonest(last + v.log.Largest)
		}
	}
	if started := v.started + v.log.Largest; due != 0 && due < started {
		return started
	}
	return due
}

// Record returns what the log has made of this voter so far.
func (v *Voter) Record() Record { return v.log }
