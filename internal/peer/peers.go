// Package peer links this gateway with the other gateways of its fleet: mutual TLS with the fleet's
// certificates, one listener for all protocols between gateways, links that ping and carry reports and signals,
// the connections that requests are forwarded over, and streams for the log that gateways share. It must not know
// what reports, signals and streams say, how requests are routed, or what follows from a link that is down.
package peer

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// The protocols of the listener, by ALPN (RFC 7301).
const (
	protocolLink    = "quorate-link/1"
	protocolForward = "h2"
	protocolStream  = "quorate-raft/1"
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
	Signal      func(from Identity, payload []byte)             // called by what reads the link: must not block, owns payload; nil: signals are dropped
	RTT         func(region, address string, rtt time.Duration) // every measured round trip of a Remote, named as it was set; must not block; nil: nobody asks
	Forward     http.Handler                                    // serves forwarded requests, see From
	Interval    time.Duration                                   // between two pings and two reports; default 250 ms
	Floor       time.Duration                                   // shortest silence that ends a link; default 600 ms
	// Advertise is the HOST:PORT that others reach this gateway's listener at; default "": unknown.
	Advertise string
	// Cluster returns the cluster and generation that this gateway belongs to, at most MaxCluster bytes of printable
	// ASCII without spaces; "" while it belongs to none, as when nil. It is asked at every hello. See Regreet.
	Cluster func() string
	// Foreign is told the cluster of a gateway that is refused because of it; it must not block; nil: nobody asks.
	Foreign func(cluster string)
	Logger  *slog.Logger
}

// Bounds.
const (
	maxLinks   = 256             // links and their probes that others have dialed
	maxRemotes = 1024            // gateways that are dialed
	maxProbes  = 8               // at once, of one of them
	handshake  = 5 * time.Second // of a connection that comes in, from accept to hello
	minBackoff = 50 * time.Millisecond
	maxBackoff = 5 * time.Second
	// selfBackoff is for addresses of this gateway itself: they may lead to another one some day.
	selfBackoff = time.Minute
	// unmeasured is how long a handshake may take with a gateway whose distance is unknown.
	unmeasured = 2 * time.Second
)

// Remote is another gateway as configured. Without a region it is whichever answers at the address, this gateway
// itself included; who that is, its certificate says.
type Remote struct {
	Region, Address string
	Seed            time.Duration // round trip to expect until it is measured
}

// Peers are the links of one gateway. Methods may be called concurrently.
type Peers struct {
	cfg      Config
	identity Identity
	hello    hello
	log      *slog.Logger
	era      atomic.Uint64 // see Regreet
	changed  chan struct{}
	refused  atomic.Uint64
	server   *http.Server
	conns    *handed // connections for the server

	directory directory
	streams   streams

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
	if cfg.Advertise != "" && !reachable(cfg.Advertise) {
		return nil, fmt.Errorf("%w: advertise %q is no HOST:PORT that others could dial", ErrConfig, cfg.Advertise)
	}
	p := &Peers{cfg: cfg, identity: cfg.Credentials.Identity(), log: cfg.Logger, changed: make(chan struct{}, 1),
		remotes: make(map[Remote]*remote), inbound: make(map[*session]struct{})}
	p.hello = newHello(p.identity, cfg.Version)
	p.hello.Address = cfg.Advertise
	p.ctx, p.stop = context.WithCancel(context.Background())
	p.conns = newHanded()
	p.server = p.forwardServer()
	p.work.Go(func() { _ = p.server.Serve(p.conns) }) // ends with it
	p.work.Go(p.tell)
	p.work.Go(p.tend)
	return p, nil
}

func newHello(of Identity, version string) hello {
	return hello{
		Min: versionMin, Max: versionMax, Region: of.Region, Gateway: of.Gateway,
		Start: time.Now().UnixNano(), Instance: rand.Text(), Version: version,
	}
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

// SetRemotes replaces the gateways that are dialed. Those that stay keep their links. One without a region is
// left out if another has its address.
func (p *Peers) SetRemotes(all []Remote) error {
	if len(all) > maxRemotes {
		return fmt.Errorf("%w: %d remotes, at most %d", ErrConfig, len(all), maxRemotes)
	}
	for _, r := range all {
		if _, _, err := net.SplitHostPort(r.Address); err != nil {
			return fmt.Errorf("%w: remote %s %q", ErrConfig, r.Region, r.Address)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	wanted, placed := make(map[Remote]bool, len(all)), make(map[string]bool, len(all))
	for _, r := range all {
		placed[r.Address] = placed[r.Address] || r.Region != ""
	}
	for _, r := range all {
		if r.Region == "" && placed[r.Address] {
			continue
		}
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

// remote returns the remote of that region and address, of any region when that is "".
func (p *Peers) remote(region, address string) *remote {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r := p.remotes[Remote{Region: region, Address: address}]; r != nil || region != "" {
		return r
	}
	for key, r := range p.remotes {
		if key.Address == address {
			return r
		}
	}
	return nil
}

// Changed delivers a signal after a link went up or down; several at once count as one.
func (p *Peers) Changed() <-chan struct{} { return p.changed }

// Refused returns how many connections were turned away.
func (p *Peers) Refused() uint64 { return p.refused.Load() }

// Close ends streams, links with a goodbye, and forwarded requests when they are done or ctx ends.
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
	p.streams.close()
	p.work.Wait()
	return err
}
