package peer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"
)

// Serve accepts other gateways on l until Close, which closes l too.
func (p *Peers) Serve(l net.Listener) error {
	stop := context.AfterFunc(p.ctx, func() { _ = l.Close() })
	defer stop()
	for {
		c, err := l.Accept()
		switch {
		case p.ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("peer: serve: %w", err)
		case err != nil: // a connection that is gone already, or too many files: neither ends the listener
			p.log.Debug("no connection from another gateway", "cause", err.Error())
			select {
			case <-time.After(10 * time.Millisecond):
			case <-p.ctx.Done():
			}
			continue
		}
		if !p.admit() {
			p.refused.Add(1)
			_ = c.Close()
			continue
		}
		p.work.Go(func() {
			defer p.greeted()
			p.welcome(c)
		})
	}
}

// admit counts a connection in that has not said hello yet.
func (p *Peers) admit() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.greeting >= maxLinks {
		return false
	}
	p.greeting++
	return true
}

func (p *Peers) greeted() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.greeting--
}

// welcome finds out who a connection is of and what it wants.
func (p *Peers) welcome(raw net.Conn) {
	until := time.Now().Add(handshake)
	m := p.cfg.Credentials.get()
	conn := tls.Server(raw, p.serverTLS(m))
	ctx, cancel := context.WithDeadline(p.ctx, until)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		p.turnAway(raw, err)
		return
	}
	t, err := trusted(p.cfg.Credentials, conn.ConnectionState(), x509.ExtKeyUsageClientAuth, m.generation)
	if err != nil {
		p.turnAway(raw, err)
		return
	}
	switch conn.ConnectionState().NegotiatedProtocol {
	case protocolForward:
		p.conns.hand(conn, t)
	case protocolLink:
		p.linked(conn, t, until)
	case protocolStream:
		p.streamed(conn, t, until)
	default:
		p.turnAway(raw, errors.New("no protocol of ours was asked for"))
	}
}

func (p *Peers) turnAway(c net.Conn, cause error) {
	p.refused.Add(1)
	p.log.Debug("connection refused", "remote", c.RemoteAddr().String(), "cause", cause.Error())
	_ = c.Close()
}

// linked begins a link that the other side dialed; it runs in a goroutine of its own.
func (p *Peers) linked(conn *tls.Conn, t *trust, until time.Time) {
	m, err := p.greet(conn, t, false, until)
	if errors.Is(err, ErrSelf) { // by now our own dialing knows, and nobody was turned away
		_ = conn.NetConn().Close()
		return
	}
	if err != nil {
		p.turnAway(conn.NetConn(), err)
		return
	}
	s := p.newSession(m, nil)
	if !p.enter(s) {
		p.refuse(conn, byeFull, "too many links")
		p.turnAway(conn.NetConn(), errors.New("too many links"))
		return
	}
	seek := func() { p.seek(t.identity.Gateway, s.theirs.advertised()) }
	seek()
	p.work.Go(func() {
		err := s.run(p.ctx)
		p.mu.Lock()
		delete(p.inbound, s)
		p.mu.Unlock()
		seek()
		p.log.Debug("link from another gateway ended", "gateway", t.identity.String(), "cause", err.Error())
	})
}

func (p *Peers) enter(s *session) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.inbound) >= maxLinks {
		return false
	}
	p.inbound[s] = struct{}{}
	p.directory.enter(s)
	return true
}
