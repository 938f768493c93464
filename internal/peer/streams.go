package peer

import (
	"errors"
	"maps"
	"net"
	"slices"
	"sync"
	"time"
)

const (
	maxPending = 16       // streams that were dialed by others and that nobody has accepted yet
	maxOpen    = maxLinks // streams, dialed by either side
)

// errFull: there is no room for another stream.
var errFull = errors.New("too many streams")

// streams are those that are open, and where the ones that others dial go. Its zero value has none.
type streams struct {
	mu       sync.Mutex
	open     map[*Stream]struct{}
	listener *streamListener // nil: nobody accepts streams
	closed   bool
}

func (l *streams) enter(s *Stream) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return ErrClosed
	case len(l.open) >= maxOpen:
		return errFull
	case l.open == nil:
		l.open = make(map[*Stream]struct{})
	}
	l.open[s] = struct{}{}
	return nil
}

func (l *streams) leave(s *Stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, s)
}

func (l *streams) all() []*Stream {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Keys(l.open))
}

func (l *streams) end(cause error) {
	for _, s := range l.all() {
		s.end(cause)
	}
}

func (l *streams) close() {
	l.mu.Lock()
	l.closed = true
	listener := l.listener
	l.mu.Unlock()
	if listener != nil {
		_ = listener.Close()
	}
	l.end(ErrClosed)
}

// wanted reports whether anybody accepts streams.
func (l *streams) wanted() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.listener != nil
}

// hand gives a stream to whoever accepts; false when nobody does, or is too slow.
func (l *streams) hand(s *Stream) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.listener == nil {
		return false
	}
	select {
	case l.listener.pending <- s:
		return true
	default:
		return false
	}
}

// tend ends streams whose other side is not to be believed any longer.
func (p *Peers) tend() {
	tick := time.NewTicker(recheck)
	defer tick.Stop()
	for {
		select {
		case <-p.ctx.Done():
			return
		case now := <-tick.C:
			for _, s := range p.streams.all() {
				if err := s.meeting.trust.check(now); err != nil {
					s.end(err)
				}
			}
		}
	}
}

// Streams accepts the streams that other gateways dial from now on; what it returns are *Stream. Until it is
// called, and after the listener was closed, they are refused. A later call takes over: it closes the listener
// of the last one, with what nobody has accepted from it.
func (p *Peers) Streams() net.Listener {
	n := &streamListener{of: &p.streams, at: p.cfg.Advertise, pending: make(chan *Stream, maxPending), ended: make(chan struct{})}
	p.streams.mu.Lock()
	last := p.streams.listener
	if p.streams.closed {
		close(n.ended)
	} else {
		p.streams.listener = n
	}
	p.streams.mu.Unlock()
	if last != nil {
		_ = last.Close()
	}
	return n
}

// streamListener hands streams to their owner.
type streamListener struct {
	of      *streams
	at      string
	pending chan *Stream
	ended   chan struct{} // closed while holding of.mu
}

// Accept implements net.Listener.
func (l *streamListener) Accept() (net.Conn, error) {
	select {
	case s := <-l.pending:
		return s, nil
	case <-l.ended:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. Streams that were accepted stay.
func (l *streamListener) Close() error {
	l.of.mu.Lock()
	select {
	case <-l.ended:
	default:
		close(l.ended)
	}
	if l.of.listener == l {
		l.of.listener = nil
	}
	l.of.mu.Unlock()
	for {
		select {
		case s := <-l.pending:
			s.end(net.ErrClosed)
		default:
			return nil
		}
	}
}

// Addr implements net.Listener: the address that others reach it at, "" when that is unknown.
func (l *streamListener) Addr() net.Addr { return streamAddr(l.at) }

type streamAddr string

func (streamAddr) Network() string  { return "tcp" }
func (a streamAddr) String() string { return string(a) }
