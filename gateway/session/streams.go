package session

import (
	"sync"
	"time"
)

const (
	// keepEnded is how long a finished stream can still be resumed by an agent that lost its end.
	keepEnded = time.Minute
	// maxEnded bounds the finished streams of one session.
	maxEnded = 32
)

// streams are the SSE streams of one session that an agent may still read or resume.
type streams struct {
	hash  string
	limit bounds
	beat  time.Duration // see Config.KeepAlive; 0: never
	alone bool          // no other gateway can go on with the session
	names bool          // event ids name the requests that are answered
	epoch uint64        // the numbers of a session that was restored begin here; 0: it began here

	mu    sync.Mutex
	last  uint64
	byNum map[uint64]*stream
	ended []*stream // oldest first
}

// begin makes numbers begin at epoch, before there is any stream.
func (s *streams) begin(epoch uint64) { s.epoch, s.last = epoch, epoch }

// open returns a new stream for the answer to a POST, to requests with these ids.
func (s *streams) open(ids []string) *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	st := s.add(s.last)
	if s.names {
		st.suffix = eventSuffix(ids)
	}
	return st
}

// listen returns the standalone stream, the same for the whole session.
func (s *streams) listen() *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st, ok := s.byNum[listenStream]; ok {
		return st
	}
	return s.add(listenStream)
}

func (s *streams) add(num uint64) *stream {
	if s.byNum == nil {
		s.byNum = make(map[uint64]*stream)
	}
	st := &stream{buffer: newBuffer(s.limit), num: num, prefix: eventPrefix(s.hash, num), alone: s.alone, beat: s.beat}
	if num == listenStream {
		st.first, st.read = s.epoch, s.epoch
	}
	s.byNum[num] = st
	return st
}

// before reports a position that another gateway gave out, before the session was restored here.
func (s *streams) before(pos position) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.epoch == 0:
		return false
	case pos.stream != listenStream:
		return pos.stream <= s.epoch || pos.stream > s.last
	case pos.seq < s.epoch:
		return true
	}
	st := s.byNum[listenStream]
	return st == nil || pos.seq >= st.position()
}

// unread reports whether a stream has something that no agent was given.
func (s *streams) unread() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(time.Now())
	for _, st := range s.byNum {
		if st.unread() {
			return true
		}
	}
	return false
}

// resume returns the stream of a position and a reader behind that event. It reports false if what follows it is no
// longer kept.
func (s *streams) resume(pos position) (*stream, *reader, bool) {
	s.mu.Lock()
	st := s.byNum[pos.stream]
	s.mu.Unlock()
	if st == nil {
		return nil, nil, false
	}
	rd, ok := st.attach(pos.seq + 1)
	return st, rd, ok
}

// close says that st has ended for good; it stays for a while to be resumed.
func (s *streams) close(st *stream, now time.Time) {
	st.end()
	s.mu.Lock()
	defer s.mu.Unlock()
	st.endedAt = now
	s.ended = append(s.ended, st)
	s.forget(now)
}

// sweep forgets what nobody will resume any more.
func (s *streams) sweep(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(now)
}

func (s *streams) forget(now time.Time) {
	for len(s.ended) > 0 && (len(s.ended) > maxEnded || s.over() || now.Sub(s.ended[0].endedAt) > keepEnded) {
		delete(s.byNum, s.ended[0].num)
		s.ended[0] = nil
		s.ended = s.ended[1:]
	}
}

// over reports whether the finished streams together hold more than one stream may. The newest one
// is kept in any case.
func (s *streams) over() bool {
	events, bytes := 0, 0
	for _, st := range s.ended[:len(s.ended)-1] {
		e, b := st.size()
		events, bytes = events+e, bytes+b
	}
	return events > s.limit.events || bytes > s.limit.bytes
}

// park keeps a call whose node closed the stream and expects to be asked again.
func (s *streams) park(st *stream, c *call) {
	s.mu.Lock()
	st.parked = c
	s.mu.Unlock()
	st.end()
}

// unpark takes the parked call of st, if there is one; only one caller gets it.
func (s *streams) unpark(st *stream) *call {
	s.mu.Lock()
	c := st.parked
	st.parked = nil
	s.mu.Unlock()
	if c != nil {
		st.reopen()
	}
	return c
}
