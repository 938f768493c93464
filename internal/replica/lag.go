package replica

import (
	"container/heap"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// lagging knows the oldest change of this gateway that no other gateway has confirmed.
//
// One confirmation is enough: the lag is what is lost when this gateway is, and a single place that hangs must not stop
// the changes of everybody. Places that are behind show in the records' states. Nor must a single record that no place
// takes: it stands apart, with a lag of its own.
type lagging struct {
	began  time.Time
	oldest atomic.Int64 // nanoseconds since began, plus one; 0: none
	open   atomic.Int64 // entries with such a change
	apart  atomic.Int64 // entries that stand apart since nobody has room for them

	mu   sync.Mutex
	heap sinces
}

// since is a change that waits, if its entry still says so.
type since struct {
	at int64
	of *entry
}

type sinces []since

func (h sinces) Len() int           { return len(h) }
func (h sinces) Less(i, j int) bool { return h[i].at < h[j].at }
func (h sinces) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *sinces) Push(x any) { *h = append(*h, x.(since)) }

// Pop implements heap.Interface.
func (h *sinces) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = since{}
	*h = old[:len(old)-1]
	return last
}

func (l *lagging) now() int64 { return int64(time.Since(l.began)) + 1 }

// changed takes down that a record has a change that nobody else has; its slot is locked.
func (s *Store) changed(e *entry) {
	if e.since.Load() != 0 {
		return // the older one counts
	}
	if e.rec.Kind == Handle || s.cfg.planOf(e.rec.Service).Copies == 0 {
		return // nothing is promised
	}
	s.lagged.open.Add(1)
	s.lagged.add(e, s.lagged.now())
}

// postpone: what was changed up to a time is confirmed, what came after is not.
func (s *Store) postpone(e *entry, at int64) {
	if at > e.since.Load() {
		s.lagged.add(e, at)
	}
}

// settled: nothing of the record waits any more.
func (s *Store) settled(e *entry) {
	if e.since.Swap(0) != 0 {
		s.lagged.open.Add(-1)
		s.lagged.tidy()
	}
}

func (l *lagging) add(e *entry, at int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.since.Store(at)
	heap.Push(&l.heap, since{at, e})
	l.head()
}

func (l *lagging) tidy() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.heap) > 2*int(l.open.Load())+1024 {
		kept := l.heap[:0]
		for _, x := range l.heap {
			if x.of.since.Load() == x.at {
				kept = append(kept, x)
			}
		}
		clear(l.heap[len(kept):])
		l.heap = kept
		heap.Init(&l.heap)
	}
	l.head()
}

// head drops what is settled from the top.
func (l *lagging) head() {
	for len(l.heap) > 0 && l.heap[0].of.since.Load() != l.heap[0].at {
		heap.Pop(&l.heap)
	}
	if len(l.heap) == 0 {
		l.oldest.Store(0)
		return
	}
	l.oldest.Store(l.heap[0].at)
}

// Lag returns the age of the oldest change of this gateway that no other gateway has confirmed; 0: there is none.
func (s *Store) Lag() time.Duration {
	at := s.lagged.oldest.Load()
	if at == 0 {
		return 0
	}
	return max(time.Duration(s.lagged.now()-at), 1)
}

// Lagging returns ErrLag when such a change is older than the service's plan allows. While no other place can be reached
// there is nothing to be behind of: whether this gateway may go on alone is not the store's to say.
func (s *Store) Lagging(service string) error {
	if s.lagged.oldest.Load() == 0 || s.view.Load().others() == 0 {
		return nil
	}
	if lag, most := s.Lag(), s.cfg.planOf(service).MaxLag; lag > most {
		return fmt.Errorf("%w: %s, at most %s", ErrLag, lag.Round(time.Millisecond), most)
	}
	return nil
}
