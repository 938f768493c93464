package shed

import (
	"sync"
	"time"
)

const (
	// slots bounds the kinds of work told apart. Two that share a slot are judged together, so the longer looks
	// slower than it is; with a median over all, that takes half of the traffic to matter.
	slots = 1024
	// batch is how many times make one average. The floor is the least average, not the least time: times
	// of one tool differ, and the shortest of many is nobody's normal.
	batch = 32
	// memory is how long a floor is remembered at least, and half of how long at most: a tool that has
	// become slower for good is then judged by what it is.
	memory = 30 * time.Second
)

// floors holds what each kind of work takes when nothing holds it up.
type floors [slots]floor

// floor is the least average over two spans of time, of which the older is forgotten as a third begins.
type floor struct {
	mu       sync.Mutex
	span     int64 // number of the present one
	now, old time.Duration
	sum      time.Duration // of the batch that is being filled
	n        int
}

// observe takes in a time and returns the floor; 0 while it is not known. It waits for nobody: a time that
// comes while another is taken in is left out.
func (f *floors) observe(key uint64, took time.Duration, now time.Time) time.Duration {
	s := &f[key%slots]
	if !s.mu.TryLock() {
		return 0
	}
	defer s.mu.Unlock()
	s.turn(now.UnixNano() / int64(memory))
	s.sum += took
	s.n++
	if s.n == batch {
		average := s.sum / batch
		if s.now == 0 || average < s.now {
			s.now = average
		}
		s.sum, s.n = 0, 0
	}
	return s.least()
}

// turn moves on to another span.
func (s *floor) turn(span int64) {
	switch {
	case span == s.span:
		return
	case span == s.span+1 && s.now != 0:
		s.old = s.now
	case span != s.span+1:
		s.old = 0
	}
	s.span, s.now = span, 0
}

func (s *floor) least() time.Duration {
	if s.now == 0 || s.old != 0 && s.old < s.now {
		return s.old
	}
	return s.now
}
