package peer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// remote keeps the link to one other gateway up.
type remote struct {
	p     *Peers
	to    Remote
	ctx   context.Context
	leave context.CancelFunc

	turn atomic.Uint32 // of the lanes

	mu      sync.Mutex
	forward *carriers // to whoever is there, see carriers
	named   *carriers // to one gateway by name
	current *session  // nil while down
	since   time.Time
	last    Identity      // who it was when the link was last up
	rtt     time.Duration // last measured
	err     error
	refused time.Time     // when err is that nobody listens
	probes  chan struct{} // as many as are on their way
	again   chan struct{} // dial at once
}

// dialing starts a remote; p.mu is held.
func (p *Peers) dialing(to Remote) *remote {
	r := &remote{p: p, to: to, since: time.Now(), again: make(chan struct{}, 1), probes: make(chan struct{}, maxProbes)}
	r.ctx, r.leave = context.WithCancel(p.ctx)
	p.work.Go(func() {
		r.keep()
		r.idle()
	})
	return r
}

func (r *remote) session() *session {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.current
}

// seed is the round trip to expect.
func (r *remote) seed() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rtt > 0 {
		return r.rtt
	}
	return r.to.Seed
}

// measured takes in a round trip.
func (r *remote) measured(rtt time.Duration) {
	r.mu.Lock()
	r.rtt = rtt
	r.mu.Unlock()
	if r.p.cfg.RTT != nil {
		r.p.cfg.RTT(r.to.Region, r.to.Address, rtt)
	}
}

func (r *remote) link() Link {
	r.mu.Lock()
	s, l := r.current, Link{Region: r.to.Region, Address: r.to.Address, Gateway: r.last.Gateway, Since: r.since, RTT: r.rtt}
	if l.Region == "" {
		l.Region = r.last.Region
	}
	if r.err != nil {
		l.Error, l.Foreign = r.err.Error(), errors.Is(r.err, ErrCluster)
		l.Refused = r.refused
	}
	r.mu.Unlock()
	if s != nil {
		return s.link()
	}
	return l
}

// itself reports whether the remote, which may be any gateway, turned out to be this one. The same list of
// addresses is given to every gateway of a fleet, so that is no fault.
func (r *remote) itself() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.to.Region == "" && errors.Is(r.err, ErrSelf)
}

// keep dials until the remote leaves, with more and more time between failures.
func (r *remote) keep() {
	backoff := minBackoff
	for r.ctx.Err() == nil {
		began := time.Now()
		s, err := r.dial(r.ctx, false)
		if err == nil {
			r.up(s)
			s.offer(r.p.report())
			err = s.run(r.ctx)
		}
		r.down(err)
		if anew(err) || time.Since(began) > maxBackoff {
			backoff = minBackoff
		}
		if r.itself() {
			r.rest(selfBackoff)
			continue
		}
		r.rest(backoff)
		backoff = min(2*backoff, maxBackoff)
	}
}

// rest waits before the next attempt, with full jitter, so that gateways that lost each other do not meet in step.
func (r *remote) rest(most time.Duration) {
	timer := time.NewTimer(rand.N(most) + 1)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.again:
	case <-r.ctx.Done():
	}
}

func (r *remote) up(s *session) {
	r.mu.Lock()
	r.current, r.since, r.last, r.err = s, time.Now(), s.trust.identity, nil
	r.mu.Unlock()
	r.p.directory.enter(s)
	r.p.log.Info("link is up", "region", s.trust.identity.Region, "gateway", s.trust.identity.Gateway, "address", r.to.Address)
	notify(r.p.changed)
}

func (r *remote) down(err error) {
	r.mu.Lock()
	was := r.current != nil
	if was {
		r.since = time.Now()
	}
	news := was || r.err == nil || r.err.Error() != err.Error()
	r.current, r.err, r.refused = nil, err, time.Time{}
	if errors.Is(err, syscall.ECONNREFUSED) {
		r.refused = time.Now()
	}
	r.mu.Unlock()
	if r.ctx.Err() == nil && news && !anew(err) && !r.itself() {
		r.p.log.Warn("no link", "region", r.to.Region, "address", r.to.Address, "cause", err.Error())
	}
	notify(r.p.changed)
}

// patience is how long a handshake may take: its round trips, with some for the other side's work. How far a
// gateway is that nobody said and nothing measured is unknown: it may be around the world.
func (r *remote) patience() time.Duration {
	if r.seed() == 0 {
		return unmeasured
	}
	return 500*time.Millisecond + 5*r.seed()
}

// dial opens a connection for the link, or one that only asks whether anybody is there.
func (r *remote) dial(ctx context.Context, probe bool) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, r.patience())
	defer cancel()
	m, err := r.meet(ctx, protocolLink, probe)
	if err != nil {
		return nil, err
	}
	return r.p.newSession(m, r), nil
}

// meet makes a connection for one of the listener's protocols that begin with hellos. ctx must have a deadline.
func (r *remote) meet(ctx context.Context, protocol string, probe bool) (meeting, error) {
	until, _ := ctx.Deadline()
	conn, shown, err := r.connect(ctx, "", protocol)
	if err != nil {
		return meeting{}, err
	}
	t, err := trusted(r.p.cfg.Credentials, conn.ConnectionState(), x509.ExtKeyUsageServerAuth, shown.generation)
	if err == nil {
		stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
		var m meeting
		m, err = r.p.greet(conn, t, probe, until)
		if err == nil && protocol == protocolStream {
			err = welcomed(conn, until)
		}
		if stop() && err == nil {
			return m, nil
		}
	}
	_ = conn.NetConn().Close()
	if err == nil {
		err = ctx.Err()
	}
	return meeting{}, err
}

// keepAlive finds connections whose other side is gone while nothing is sent.
func keepAlive() net.KeepAliveConfig {
	return net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3}
}

// connect makes a TLS connection with a gateway ("": any) for one of the listener's protocols.
func (r *remote) connect(ctx context.Context, gateway, protocol string) (*tls.Conn, *material, error) {
	d := net.Dialer{KeepAliveConfig: keepAlive(), Control: r.bound}
	raw, err := d.DialContext(ctx, "tcp", r.to.Address)
	if err != nil {
		return nil, nil, err
	}
	m := r.p.cfg.Credentials.get()
	conn := tls.Client(raw, r.p.clientTLS(m, Identity{Region: r.to.Region, Gateway: gateway}, protocol))
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, nil, fmt.Errorf("tls handshake: %w", err)
	}
	if got := conn.ConnectionState().NegotiatedProtocol; got != protocol {
		_ = raw.Close()
		return nil, nil, fmt.Errorf("the other side speaks %q, not %s", got, protocol)
	}
	return conn, m, nil
}

func (r *remote) bound(_, _ string, raw syscall.RawConn) error { return bound(raw, r.seed()) }

// bound ends connections whose bytes stay unacknowledged, long before the kernel would.
func bound(raw syscall.RawConn, rtt time.Duration) error {
	var serr error
	err := raw.Control(func(fd uintptr) {
		serr = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int((time.Second+4*rtt)/time.Millisecond))
	})
	return errors.Join(err, serr)
}

// Alive asks a gateway for a pong to a ping sent after the call. While the link is down it dials one. A link
// that does not answer within ctx does not mean that nobody would: a new connection is tried beside it.
func (p *Peers) Alive(ctx context.Context, region, address string) error {
	r := p.remote(region, address)
	if r == nil {
		return fmt.Errorf("peer: alive: %s at %s: %w", region, address, ErrUnknown)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	asked, results := 0, make(chan error, 2)
	if s := r.session(); s != nil {
		asked++
		p.work.Go(func() { results <- s.pong(ctx) })
	}
	asked++
	p.work.Go(func() { results <- r.probe(ctx) })
	var problems []error
	for range asked {
		err := <-results
		if err == nil {
			return nil
		}
		problems = append(problems, err)
	}
	return fmt.Errorf("peer: alive: %s at %s: %w", region, address, errors.Join(problems...))
}

// pong waits for the answer to a new ping.
func (s *session) pong(ctx context.Context) error {
	select {
	case <-s.ask():
		return nil
	case <-s.ending:
		return s.failure()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// probe dials and says hello, no more. It leaves a moment to the link's own answer, which costs less.
func (r *remote) probe(ctx context.Context) error {
	if s := r.session(); s != nil {
		timer := time.NewTimer(r.seed() + r.seed()/2 + 10*time.Millisecond)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-s.ending: // there will be no answer
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	select {
	case r.probes <- struct{}{}:
		defer func() { <-r.probes }()
	case <-ctx.Done():
		return ctx.Err()
	}
	s, err := r.dial(ctx, true)
	if err != nil {
		return err
	}
	_ = s.conn.NetConn().Close()
	notify(r.again)
	return nil
}
