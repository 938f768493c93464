package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// Stream is a connection with another gateway that carries whatever its two owners agree on. It ends by itself
// when the other side's certificate is not good any more, at Regreet and at Close of the Peers; then Read and Write
// say why.
type Stream struct {
	net.Conn // the TLS connection
	meeting  meeting
	p        *Peers
	cause    atomic.Pointer[error]
}

// Identity returns who the other side is, by its certificate.
func (s *Stream) Identity() Identity { return s.meeting.trust.identity }

// Read implements net.Conn.
func (s *Stream) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	return n, s.why(err)
}

// Write implements net.Conn.
func (s *Stream) Write(b []byte) (int, error) {
	n, err := s.Conn.Write(b)
	return n, s.why(err)
}

func (s *Stream) why(err error) error {
	if cause := s.cause.Load(); cause != nil && err != nil {
		return *cause
	}
	return err
}

// Close implements net.Conn. The other side is told, for as long as a farewell may take.
func (s *Stream) Close() error {
	s.p.streams.leave(s)
	cut := time.AfterFunc(farewell, func() { _ = s.meeting.conn.NetConn().Close() })
	defer cut.Stop()
	return s.Conn.Close()
}

// end cuts the stream for a reason that its owner will be told.
func (s *Stream) end(cause error) {
	cause = fmt.Errorf("peer: stream: %w", cause)
	s.cause.CompareAndSwap(nil, &cause)
	s.p.streams.leave(s)
	_ = s.meeting.conn.NetConn().Close()
}

// Stream dials a gateway of the fleet, of any region, at an address. It takes at most five seconds. Beside network
// and TLS errors, its own are ErrSelf, ErrTwin, ErrVersion, ErrCluster, ErrIdentity, ErrFrame and ErrClosed.
func (p *Peers) Stream(ctx context.Context, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, handshake)
	defer cancel()
	defer context.AfterFunc(p.ctx, cancel)()
	to := remote{p: p, to: Remote{Address: address, Seed: p.distance(address)}}
	m, err := to.meet(ctx, protocolStream, false)
	if err != nil {
		return nil, fmt.Errorf("peer: stream: %s: %w", address, err)
	}
	s, err := p.opened(m)
	if err != nil {
		_ = m.conn.NetConn().Close()
		return nil, fmt.Errorf("peer: stream: %s: %w", address, err)
	}
	return s, nil
}

// distance returns the round trip to expect to whoever listens at an address, 0 when it is not known.
func (p *Peers) distance(address string) time.Duration {
	if r := p.remote("", address); r != nil {
		return r.seed()
	}
	for _, s := range p.directory.all() {
		if s.theirs.Address == address {
			return s.link().RTT
		}
	}
	return 0
}

// opened counts a stream in.
func (p *Peers) opened(m meeting) (*Stream, error) {
	s := &Stream{Conn: m.conn, meeting: m, p: p}
	if err := p.streams.enter(s); err != nil {
		return nil, err
	}
	if m.era != p.era.Load() { // Regreet may have missed it
		p.streams.leave(s)
		return nil, errRegreet
	}
	return s, nil
}

// streamed begins a stream that the other side dialed.
func (p *Peers) streamed(conn *tls.Conn, t *trust, until time.Time) {
	if err := p.takeStream(conn, t, until); err != nil && !errors.Is(err, ErrSelf) {
		p.turnAway(conn.NetConn(), err)
	} else if err != nil {
		_ = conn.NetConn().Close()
	}
}

func (p *Peers) takeStream(conn *tls.Conn, t *trust, until time.Time) error {
	m, err := p.greet(conn, t, false, until)
	if err != nil {
		return err
	}
	if err := p.tune(conn.NetConn(), t.identity.Gateway); err != nil {
		return err
	}
	s, err := p.opened(m)
	if err != nil {
		p.refuse(conn, byeFor(err), err.Error())
		return err
	}
	if err := welcome(conn, until); err != nil {
		s.end(err)
		return err
	}
	if !p.streams.hand(s) {
		s.end(errFull)
		return errFull
	}
	return nil
}

// tune bounds an accepted connection as dialed ones are.
func (p *Peers) tune(c net.Conn, gateway string) error {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	l, _ := p.Find(gateway)
	return errors.Join(tcp.SetKeepAliveConfig(keepAlive()), bound(raw, l.RTT))
}

// welcome tells the dialing side that its stream is taken: what it judges good may still be refused here, and
// its owner's first bytes must not meet a goodbye.
func welcome(conn *tls.Conn, until time.Time) error {
	if err := conn.SetDeadline(until); err != nil {
		return err
	}
	if _, err := conn.Write(appendFrame(nil, frameWelcome, nil)); err != nil {
		return err
	}
	return conn.SetDeadline(time.Time{})
}

// welcomed waits for the other side's welcome.
func welcomed(conn *tls.Conn, until time.Time) error {
	if err := conn.SetDeadline(until); err != nil {
		return err
	}
	kind, payload, err := readFrame(conn, nil, maxHello)
	switch {
	case errors.Is(err, io.EOF):
		return errEnded
	case err != nil:
		return err
	case kind == frameGoodbye:
		return parseGoodbye(payload)
	case kind != frameWelcome:
		return fmt.Errorf("%w: type %d instead of a welcome", ErrFrame, kind)
	}
	return conn.SetDeadline(time.Time{})
}
