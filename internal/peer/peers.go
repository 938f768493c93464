// Package peer links this gateway with the gateways of other regions: mutual TLS with the fleet's
// certificates, one listener for all protocols between gateways, links that ping and carry reports, and the
// connections that requests are forwarded over. It must not know what reports say, how requests are routed,
// or what follows from a link that is down.
package peer

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// The protocols of the listener, by ALPN (RFC 7301).
const (
	protocolLink    = "quorate-link/1"
	protocolForward = "h2"
)

// Errors that callers branch on.
var (
	// ErrClosed: the gateway stops, or the remote has left its configuration.
	ErrClosed = errors.New("closed")
	// ErrUnknown: no remote has that region and address.
	ErrUnknown = errors.New("no such remote")
	// ErrConfig is wrapped by errors of New and SetRemotes.
	ErrConfig = errors.New("peer: config")
)

// Config is what Peers need. Every field without a default is required.
type Config struct {
	Credentials *Credentials
	Version     string                                          // of this build, shown to others
	Report      func() []byte                                   // what others are told, at most MaxReport; nil: nothing
	Received    func(from Identity, payload []byte)             // must not block; nil: reports are dropped
	RTT         func(region, address string, rtt time.Duration) // every measured round trip; must not block; nil: nobody asks
	Forward     http.Handler                                    // serves forwarded requests, see From
	Interval    time.Duration                                   // between two pings and two reports; default 250 ms
	Floor       time.Duration                                   // shortest silence that ends a link; default 600 ms
	Logger      *slog.Logger
}

// Bounds.
const (
	maxLinks   = 256             // links and their probes that others have dialed
	maxRemotes = 1024            // gateways that are dialed
	maxProbes  = 8               // at once, of one of them
	handshake  = 5 * time.Second // of a connection that comes in, from accept to hello
	minBackoff = 50 * time.Millisecond
	maxBackoff = 5 * time.Second
)

// Remote is another gateway as configured.
type Remote struct {
	Region, Address string
	Seed            time.Duration // round trip to expect until it is measured
}

// Link is the link to one remote, or from one gateway.
type Link struct {
	Region, Address string
	Gateway         string // "" until it has said its name
	In              bool   // the other side dialed
	Up              bool
	Since           time.Time
	RTT             time.Duration // median of the recent pings
	Loss            float64       // part of the recent pings without a pong in time
	Version         string
	Error           string // why it is down, or went down last
}

// Peers are the links of one gateway. Methods may be called concurrently.
type Peers struct {
	cfg      Config
	identity Identity
	hello    hello
	log      *slog.Logger
	changed  chan struct{}
	refused  atomic.Uint64
	server   *http.Server
	conns    *handed // connections for the server

	ctx  context.Context
	stop context.CancelFunc
	work sync.WaitGroup

	mu       sync.Mutex
	remotes  map[Remote]*remote // by region and address
	inbound  map[*session]struct{}
	greeting int // connections that have not said hello yet
	closed   bool
}

// New returns peers without remotes that serve nobody yet.
func New(cfg Config) (*Peers, error) {
	if cfg.Credentials == nil || cfg.Forward == nil || cfg.Logger == nil {
		return nil, fmt.Errorf("%w: credentials, forward and logger are required", ErrConfig)
	}
	if cfg.Interval == 0 {
		cfg.Interval = 250 * time.Millisecond
	}
	if cfg.Floor == 0 {
		cfg.Floor = 600 * time.Millisecond
	}
	if cfg.Interval < 10*time.Millisecond || cfg.Interval > time.Minute || cfg.Floor < cfg.Interval {
		return nil, fmt.Errorf("%w: interval %s or floor %s is out of range", ErrConfig, cfg.Interval, cfg.Floor)
	}
	p := &Peers{cfg: cfg, identity: cfg.Credentials.Identity(), log: cfg.Logger, changed: make(chan struct{}, 1),
		remotes: make(map[Remote]*remote), inbound: make(map[*session]struct{})}
	p.hello = hello{Min: versionMin, Max: versionMax, Region: p.identity.Region, Gateway: p.identity.Gateway,
		Start: time.Now().UnixNano(), Instance: rand.Text(), Version: cfg.Version}
	p.ctx, p.stop = context.WithCancel(context.Background())
	p.conns = newHanded()
	p.server = p.forwardServer()
	p.work.Go(func() { _ = p.server.Serve(p.conns) }) // ends with it
	p.work.Go(p.tell)
	return p, nil
}

// tell offers a report on every link each Interval.
func (p *Peers) tell() {
	tick := time.NewTicker(p.cfg.Interval)
	defer tick.Stop()
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-tick.C:
			p.Announce()
		}
	}
}

// Announce sends a report on all links now; it never blocks.
func (p *Peers) Announce() {
	report := p.report()
	if report == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.remotes {
		if s := r.session(); s != nil {
			s.offer(report)
		}
	}
}

func (p *Peers) report() []byte {
	if p.cfg.Report == nil {
		return nil
	}
	b := p.cfg.Report()
	if len(b) > MaxReport {
		p.log.Error("report is too large for other gateways", "bytes", len(b))
		return nil
	}
	return b
}

// SetRemotes replaces the gateways that are dialed. Those that stay keep their links.
func (p *Peers) SetRemotes(all []Remote) error {
	if len(all) > maxRemotes {
		return fmt.Errorf("%w: %d remotes, at most %d", ErrConfig, len(all), maxRemotes)
	}
	for _, r := range all {
		if _, _, err := net.SplitHostPort(r.Address); err != nil || r.Region == "" {
			return fmt.Errorf("%w: remote %s %q", ErrConfig, r.Region, r.Address)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	wanted := make(map[Remote]bool, len(all))
	for _, r := range all {
		key := Remote{Region: r.Region, Address: r.Address}
		wanted[key] = true
		if p.remotes[key] == nil {
			p.remotes[key] = p.dialing(r)
		}
	}
	for key, r := range p.remotes {
		if !wanted[key] {
			r.leave()
			delete(p.remotes, key)
		}
	}
	notify(p.changed)
	return nil
}

func (p *Peers) remote(region, address string) *remote {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.remotes[Remote{Region: region, Address: address}]
}

// Changed delivers a signal after a link went up or down; several at once count as one.
func (p *Peers) Changed() <-chan struct{} { return p.changed }

// Refused returns how many connections were turned away.
func (p *Peers) Refused() uint64 { return p.refused.Load() }

// Links returns the links to all remotes, and those that others have dialed, by region and address.
func (p *Peers) Links() []Link {
	p.mu.Lock()
	remotes, inbound := make([]*remote, 0, len(p.remotes)), make([]*session, 0, len(p.inbound))
	for _, r := range p.remotes {
		remotes = append(remotes, r)
	}
	for s := range p.inbound {
		inbound = append(inbound, s)
	}
	p.mu.Unlock()
	var all []Link
	for _, r := range remotes {
		all = append(all, r.link())
	}
	for _, s := range inbound {
		l := s.link()
		l.In, l.Region, l.Address = true, s.trust.identity.Region, s.conn.RemoteAddr().String()
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b Link) int {
		return compare(a.Region, b.Region, a.Address, b.Address)
	})
	return all
}

func compare(pairs ...string) int {
	for i := 0; i+1 < len(pairs); i += 2 {
		switch {
		case pairs[i] < pairs[i+1]:
			return -1
		case pairs[i] > pairs[i+1]:
			return 1
		}
	}
	return 0
}

// link describes a session that is up.
func (s *session) link() Link {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Link{Gateway: s.theirs.Gateway, Up: s.err == nil, Since: s.began, RTT: s.health.rtt(), Loss: s.health.loss(s.now()), Version: printable(s.theirs.Version)}
}

// Close ends links with a goodbye, and forwarded requests when they are done or ctx ends.
func (p *Peers) Close(ctx context.Context) error {
	p.mu.Lock()
	p.closed = true
	for _, r := range p.remotes {
		r.leave()
	}
	p.mu.Unlock()
	err := p.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("peer: close: %w", err), p.server.Close())
	}
	p.stop()
	p.conns.close()
	p.work.Wait()
	return err
}

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
	theirs, err := p.greet(conn, t, false, until)
	if err != nil {
		p.turnAway(conn.NetConn(), err)
		return
	}
	s := p.newSession(conn, t, theirs, nil)
	if !p.enter(s) {
		p.refuse(conn, byeFull, "too many links")
		p.turnAway(conn.NetConn(), errors.New("too many links"))
		return
	}
	p.work.Go(func() {
		err := s.run(p.ctx)
		p.mu.Lock()
		delete(p.inbound, s)
		p.mu.Unlock()
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
	return true
}
