// Package delay is a TCP proxy that puts a distance between two programs on one machine: what passes
// takes a set time each way, and the link can be cut, broken and healed while it runs. It must not
// know what passes.
package delay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// MaxDelay is the longest delay and the longest jitter.
const MaxDelay = 10 * time.Second

// acceptPause keeps a lasting failure to accept from taking a whole processor.
const acceptPause = 10 * time.Millisecond

// Config describes one proxy.
type Config struct {
	Listen string        // HOST:PORT, default 127.0.0.1:0
	Target string        // HOST:PORT that connections go on to
	Delay  time.Duration // one way, 0..MaxDelay; a round trip takes twice as long
	Jitter time.Duration // 0..MaxDelay: what passes takes up to this much longer, and never overtakes
	Seed   uint64        // of the jitter; each connection draws from a sequence of its own
	// Connections is how many there are at once, 1..4096, default 128. One more waits in the kernel.
	Connections int
	// Window bounds the bytes under way per connection and direction, 1 KiB..64 MiB. The default is what
	// a link of 100 MB/s holds at the present delay, within 256 KiB and 16 MiB.
	Window int
}

func (c Config) withDefaults() (Config, error) {
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	if c.Connections == 0 {
		c.Connections = 128
	}
	switch {
	case c.Target == "":
		return c, errors.New("delay: a target is needed")
	case c.Delay < 0 || c.Delay > MaxDelay || c.Jitter < 0 || c.Jitter > MaxDelay:
		return c, fmt.Errorf("delay: delay %s, jitter %s: write 0s..%s", c.Delay, c.Jitter, MaxDelay)
	case c.Connections < 1 || c.Connections > 4096:
		return c, fmt.Errorf("delay: %d connections: write 1..4096", c.Connections)
	case c.Window != 0 && (c.Window < 1<<10 || c.Window > 64<<20):
		return c, fmt.Errorf("delay: window %d: write 1 KiB..64 MiB", c.Window)
	}
	return c, nil
}

// Proxy is one link. Its methods are safe for concurrent use.
type Proxy struct {
	cfg     Config
	address string
	link    atomic.Pointer[link]
	slots   chan struct{}
	held    *held // keeps the port while nothing listens
	done    sync.WaitGroup

	mu       sync.Mutex // of what follows, and of changes of link
	listener net.Listener
	conns    map[*conn]struct{}
	count    uint64 // connections so far
}

// Start listens and carries connections until Close.
func Start(cfg Config) (*Proxy, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	held, address := hold(cfg.Listen)
	listener, err := net.Listen("tcp", address)
	if err != nil {
		held.release()
		return nil, fmt.Errorf("delay: %w", err)
	}
	p := &Proxy{
		cfg: cfg, address: listener.Addr().String(), held: held, listener: listener,
		slots: make(chan struct{}, cfg.Connections), conns: make(map[*conn]struct{}),
	}
	p.link.Store(&link{delay: cfg.Delay, changed: make(chan struct{})})
	p.done.Go(func() { p.accept(listener) })
	return p, nil
}

// Address is where the proxy listens, the same through all its states.
func (p *Proxy) Address() string { return p.address }

// Delay returns the present delay, one way.
func (p *Proxy) Delay() time.Duration { return p.link.Load().delay }

// Set changes the delay, one way; values outside 0..MaxDelay are taken as the nearest within. What is
// under way arrives as it would have.
func (p *Proxy) Set(delay time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.set(func(l *link) { l.delay = min(max(delay, 0), MaxDelay) })
}

// Cut makes the link a black hole: connections stay and connects succeed, as the kernel answers them,
// but no byte, end or reset passes either way until Heal. Unlike on a real link the kernel acknowledges
// what is sent, so TCP_USER_TIMEOUT does not fire. A link broken by Reset stays broken.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.link.Load().mode == open {
		p.set(func(l *link) { l.mode = cut })
	}
}

// Reset breaks every connection with RST at both ends and has new ones refused until Heal.
func (p *Proxy) Reset() {
	p.mu.Lock()
	if p.link.Load().mode != closed {
		p.shut(refusing)
	}
	p.mu.Unlock()
}

// shut stops listening and resets every connection; p.mu is held.
func (p *Proxy) shut(m mode) {
	if p.listener != nil {
		p.listener.Close()
		p.listener = nil
	}
	p.set(func(l *link) { l.mode = m })
	for c := range p.conns {
		c.end(true)
	}
}

// Heal lets everything pass again, what was held up by Cut first. The error says that the port could
// not be had again after Reset; Heal can be tried again.
func (p *Proxy) Heal() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m := p.link.Load().mode; m == open || m == closed {
		return nil
	}
	if p.listener == nil {
		listener, err := net.Listen("tcp", p.address)
		if err != nil {
			return fmt.Errorf("delay: heal: %w", err)
		}
		p.listener = listener
		p.done.Go(func() { p.accept(listener) })
	}
	p.set(func(l *link) { l.mode, l.since = open, time.Now() })
	return nil
}

// Close resets every connection and ends the proxy. It waits until nothing of it runs.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.shut(closed)
	p.held.release()
	p.held = nil
	p.mu.Unlock()
	p.done.Wait()
}

// accept takes connections until the listener is closed.
func (p *Proxy) accept(listener net.Listener) {
	for {
		p.slots <- struct{}{} // Close resets every connection, so a place comes free then too
		near, err := listener.Accept()
		if err != nil {
			<-p.slots
			if errors.Is(err, net.ErrClosed) {
				return
			}
			time.Sleep(acceptPause) // the client went away, or the process is short of descriptors
			continue
		}
		c := p.newConn(near.(*net.TCPConn))
		p.done.Go(func() {
			defer func() { <-p.slots }()
			c.carry()
			p.forget(c)
		})
	}
}

// newConn enters a connection; one that comes when the link is not there is reset.
func (p *Proxy) newConn(near *net.TCPConn) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count++
	c := &conn{
		p: p, near: near, done: make(chan struct{}),
		there: newPipe(p.cfg.Seed, 2*p.count), back: newPipe(p.cfg.Seed, 2*p.count+1),
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	p.conns[c] = struct{}{}
	if m := p.link.Load().mode; m == refusing || m == closed {
		c.end(true)
	}
	return c
}

func (p *Proxy) forget(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}
