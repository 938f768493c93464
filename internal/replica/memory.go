package replica

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/internal/planted"
)

// slot is one part of the records.
type slot struct {
	mu      sync.Mutex
	entries map[Key]*entry
	waits   []*wait
	gen     atomic.Uint64 // of what its sum is made of
}

// entry is what is known of one record. All of it is its slot's, but for since.
type entry struct {
	rec           Record // without an ID: a promise only
	sum           uint32
	promised      uint64 // lower ballots are refused
	promisedUntil int64  // unix seconds; of a promise without a record
	acks          []ack  // of a record of this gateway
	before        mark   // as an earlier process wrote it, which may have had confirmations that nobody remembers
	since         atomic.Int64
	grudge        *grudge // nil: nobody refuses it
}

func (e *entry) held() bool { return e.rec.ID != "" }

// bars reports whether a promise stands against a ballot.
func bars(promised, ballot uint64) bool { return promised > ballot && !planted.On(planted.Ballot) }

func (e *entry) mark() mark { return mark{e.rec.Ballot, e.rec.Deleted, e.rec.Version, e.sum} }

// ack is what another gateway has said that it holds.
type ack struct {
	gateway string
	mark    mark
}

// acked reports whether a gateway has confirmed this state or a newer one.
func (e *entry) acked(gateway string, m mark) bool {
	return slices.ContainsFunc(e.acks, func(a ack) bool { return a.gateway == gateway && !a.mark.below(m) })
}

// copies reports how many gateways have confirmed this state or a newer one.
func (e *entry) copies(m mark) int {
	n := 0
	for _, a := range e.acks {
		if !a.mark.below(m) {
			n++
		}
	}
	return n
}

// wait is somebody who waits for copies of one state.
type wait struct {
	key  Key
	mark mark
	need int
	done chan error // of one
}

// promiseLife is how long a promise without a record is kept: longer than the id of any session lives, and not much: every
// claim leaves one at every gateway that has no copy.
const promiseLife = 26 * time.Hour

func (s *Store) slot(k Key) *slot { return &s.slots[slotOf(k)] }

// Get returns the record as it is here; nobody may change its contents.
func (s *Store) Get(k Key) (Record, bool) {
	sl := s.slot(k)
	sl.mu.Lock()
	defer sl.mu.Unlock()
	e := sl.entries[k]
	if e == nil || !e.held() || over(e.rec.Until, s.now()) {
		return Record{}, false
	}
	return e.rec, true
}

// Each calls f for every record here, in no order, until f says no. f may call the store.
func (s *Store) Each(f func(Record) bool) {
	now := s.now()
	for i := range s.slots {
		for _, r := range s.recordsOf(i, now) {
			if !f(r) {
				return
			}
		}
	}
}

func (s *Store) recordsOf(slot int, now time.Time) []Record {
	sl := &s.slots[slot]
	sl.mu.Lock()
	defer sl.mu.Unlock()
	all := make([]Record, 0, len(sl.entries))
	for _, e := range sl.entries {
		if e.held() && !over(e.rec.Until, now) {
			all = append(all, e.rec)
		}
	}
	return all
}

// bulk is what an entry counts as. Deletions and promises are small, and as many as there were sessions in a day; agents make
// as many handles as they like. Neither must take the place of sessions.
type bulk uint8

const (
	nothing bulk = iota
	small
	handled
	whole
)

// smallMost is how many deletions and promises there may be for every record that may be.
const smallMost = 2

func (e *entry) weighs() bulk {
	if e == nil {
		return nothing
	}
	return weigh(&e.rec)
}

func weigh(r *Record) bulk {
	if r.ID == "" || r.Deleted {
		return small
	}
	if r.Kind == Handle {
		return handled
	}
	return whole
}

// counted takes down that an entry of one bulk is one of another.
func (s *Store) counted(was, is bulk) {
	s.tell(was, -1)
	s.tell(is, 1)
}

func (s *Store) tell(b bulk, n int64) {
	switch b {
	case small:
		s.small.Add(n)
	case handled:
		s.handles.Add(n)
	case whole:
		s.count.Add(n)
	}
}

// entries is how many there are of any weight.
func (s *Store) entries() int64 { return s.count.Load() + s.handles.Load() + s.small.Load() }

// room takes the place of a new state in the limits, or says why there is none. A deletion always fits: it is how there comes to be room.
func (s *Store) room(e *entry, r *Record) error {
	more := int64(len(r.Contents))
	if e != nil {
		more -= int64(len(e.rec.Contents))
	}
	if n := s.bytes.Add(more); more > 0 && !r.Deleted && n > s.cfg.MaxBytes {
		s.bytes.Add(-more)
		return fmt.Errorf("%w: %d bytes", ErrFull, s.cfg.MaxBytes)
	}
	was, is := e.weighs(), weigh(r)
	s.counted(was, is)
	if is != was && !r.Deleted && s.crowded(is) {
		s.counted(is, was)
		s.bytes.Add(-more)
		return fmt.Errorf("%w: %d records", ErrFull, s.cfg.MaxRecords)
	}
	return nil
}

// crowded reports whether there are more than may be, of one bulk or of the small ones.
func (s *Store) crowded(is bulk) bool {
	most := int64(s.cfg.MaxRecords)
	return s.small.Load() > smallMost*most || is == whole && s.count.Load() > most || is == handled && s.handles.Load() > most
}

// set puts a state in the place of what is there; its slot is locked. Confirmations of others' states stay: what is
// there is judged by its mark.
func (s *Store) set(sl *slot, r Record, m mark) (*entry, error) {
	e := sl.entries[r.Key]
	if err := s.room(e, &r); err != nil {
		return nil, err
	}
	if e == nil {
		e = &entry{}
		sl.entries[r.Key] = e
	}
	e.rec, e.sum = r, m.sum
	sl.gen.Add(1)
	if r.Owner != s.cfg.Gateway {
		e.acks = nil
		s.settled(e)
		s.rejoined(e)
		e.grudge = nil
	}
	s.dirty(r.Key)
	return e, nil
}

// drop forgets a record, but not a promise above it; its slot is locked.
func (s *Store) drop(sl *slot, k Key, e *entry) {
	sl.gen.Add(1)
	s.bytes.Add(-int64(len(e.rec.Contents)))
	s.settled(e)
	s.rejoined(e)
	e.grudge = nil
	was := e.weighs()
	if e.promised > e.rec.Ballot && e.held() {
		s.counted(was, small)
		e.rec, e.sum, e.acks, e.promisedUntil = Record{}, 0, nil, e.rec.Until
	} else {
		delete(sl.entries, k)
		s.counted(was, nothing)
	}
	s.dirty(k)
}

// answer tells those who wait for the record what has become of it; its slot is locked.
func (s *Store) answer(sl *slot, k Key, e *entry) {
	sl.waits = slices.DeleteFunc(sl.waits, func(w *wait) bool {
		if w.key != k {
			return false
		}
		err, ok := s.verdict(w, e)
		if ok {
			w.done <- err
		}
		return ok
	})
}

// verdict reports whether a wait is over, and how.
func (s *Store) verdict(w *wait, e *entry) (error, bool) {
	if e.copies(w.mark) >= min(w.need, len(s.targets(&e.rec))) && e.rec.Owner == s.cfg.Gateway {
		return nil, true
	}
	if e.rec.Owner != s.cfg.Gateway || e.rec.Ballot > w.mark.ballot || bars(e.promised, w.mark.ballot) {
		return fmt.Errorf("replica: put: %w", ErrStale), true
	}
	return nil, false
}

// targets returns where a new state of this gateway's record goes now.
func (s *Store) targets(r *Record) []string {
	return s.view.Load().live.of(slotOf(r.Key), s.cfg.Gateway, s.cfg.Region, s.cfg.planOf(r.Service).Copies)
}

// reconsider looks at everybody who waits: the places may be others now. What they wait for goes there.
func (s *Store) reconsider() {
	var left []Key
	for i := range s.slots {
		sl := &s.slots[i]
		sl.mu.Lock()
		for _, w := range slices.Clone(sl.waits) {
			if e := sl.entries[w.key]; e != nil {
				s.answer(sl, w.key, e)
			}
		}
		for _, w := range sl.waits {
			left = append(left, w.key)
		}
		sl.mu.Unlock()
	}
	s.spread(left)
}
