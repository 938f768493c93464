package upstream

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/quorate/quorate/regions/identity"
)

const (
	readBufferSize  = 4 << 10
	writeBufferSize = 4 << 10
	maxIdlePerNode  = 1024
	idleTimeout     = 90 * time.Second
	maxHeaderBytes  = 256 << 10
)

var errHeaderTooLarge = errors.New("response header larger than 256 KiB")

// conn is one HTTP/1.1 connection to a node; one exchange at a time.
type conn struct {
	net.Conn
	tcp        *net.TCPConn
	br         *bufio.Reader
	bw         *bufio.Writer
	suspect    *time.Timer  // fires while an exchange waits for response headers
	waiting    atomic.Bool  // it does
	wait       atomic.Int64 // nanoseconds until the next suspect probe
	idleSince  time.Time
	written    int64  // bytes given to the kernel in this exchange
	beforeRead func() // called before the socket is read, that is, when there is nothing to read yet
	ended      bool   // the connection itself failed or was closed; otherwise what came over it was bad
	budget     int64  // bytes the node may still send before its headers end; < 0: no bound
}

// Write counts what left, so that a failed attempt knows whether the node can have seen any of it.
func (c *conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.written += int64(n)
	if err != nil {
		c.ended = true
	}
	return n, err
}

// Read bounds the response's header section: a node cannot make the gateway buffer without end.
func (c *conn) Read(b []byte) (int, error) {
	if c.budget == 0 {
		return 0, errHeaderTooLarge
	}
	if c.budget > 0 && int64(len(b)) > c.budget {
		b = b[:c.budget]
	}
	if c.beforeRead != nil {
		c.beforeRead()
	}
	n, err := c.Conn.Read(b)
	if err != nil {
		c.ended = true
	}
	if c.budget > 0 {
		c.budget -= int64(n)
	}
	return n, err
}

// pool keeps a node's connections: the idle ones last in first out, and all of them so that
// a death of the node ends every exchange at once.
type pool struct {
	mu      sync.Mutex
	idle    []*conn
	all     map[*conn]struct{}
	retired bool // nothing becomes idle any more
}

func newPool() *pool { return &pool{all: make(map[*conn]struct{})} }

// take returns a live idle connection, or nil. Idle ones the node has closed meanwhile are dropped:
// a request written to them would look sent although nobody could have read it.
func (p *pool) take(now time.Time) *conn {
	for {
		p.mu.Lock()
		last := len(p.idle) - 1
		if last < 0 {
			p.mu.Unlock()
			return nil
		}
		c := p.idle[last]
		p.idle[last] = nil
		p.idle = p.idle[:last]
		p.mu.Unlock()
		if now.Sub(c.idleSince) < idleTimeout && c.quiet() {
			return c
		}
		p.drop(c)
	}
}

func (p *pool) put(c *conn, now time.Time) {
	c.idleSince = now
	p.mu.Lock()
	_, live := p.all[c]
	full := p.retired || len(p.idle) >= maxIdlePerNode
	if live && !full {
		p.idle = append(p.idle, c)
	}
	p.mu.Unlock()
	if !live || full {
		p.drop(c)
	}
}

func (p *pool) add(c *conn) {
	p.mu.Lock()
	p.all[c] = struct{}{}
	p.mu.Unlock()
}

func (p *pool) drop(c *conn) {
	p.mu.Lock()
	delete(p.all, c)
	p.mu.Unlock()
	_ = c.Close() // the connection is finished either way
}

// closeAll ends every connection, those with an exchange under way too. What the other side has not acknowledged is
// dropped: the kernel would go on sending it, and a node behind a cut would act on it when the cut heals.
func (p *pool) closeAll() {
	p.mu.Lock()
	conns := p.all
	p.all = make(map[*conn]struct{})
	p.idle = nil
	p.mu.Unlock()
	for c := range conns {
		_ = c.tcp.SetLinger(0)
		_ = c.Close()
	}
}

// retire closes the idle connections, and the others as they become idle.
func (p *pool) retire() {
	p.mu.Lock()
	p.retired = true
	p.mu.Unlock()
	p.dropIdle()
}

// dropIdle closes the idle connections; those with an exchange under way go on.
func (p *pool) dropIdle() {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	for _, c := range idle {
		delete(p.all, c)
	}
	p.mu.Unlock()
	for _, c := range idle {
		_ = c.Close()
	}
}

// closeIdle ends the connections that have no exchange under way and are older than idleTimeout.
func (p *pool) closeIdle(now time.Time) {
	p.mu.Lock()
	var old []*conn
	kept := p.idle[:0]
	for _, c := range p.idle {
		if now.Sub(c.idleSince) >= idleTimeout {
			old = append(old, c)
			delete(p.all, c)
			continue
		}
		kept = append(kept, c)
	}
	clear(p.idle[len(kept):])
	p.idle = kept
	p.mu.Unlock()
	for _, c := range old {
		_ = c.Close()
	}
}

// quiet reports whether the connection is open with nothing to read: a node that speaks before it
// is asked, or has closed, cannot take the next request.
func (c *conn) quiet() bool {
	if c.br.Buffered() > 0 {
		return false
	}
	raw, err := c.tcp.SyscallConn()
	if err != nil {
		return false
	}
	if c.Conn != net.Conn(c.tcp) && !c.decryptedAll() {
		return false
	}
	open := false
	var b [1]byte
	err = raw.Read(func(fd uintptr) bool {
		_, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		open = errors.Is(err, unix.EAGAIN)
		return true
	})
	return err == nil && open
}

// decryptedAll reports whether TLS has nothing to read: what came with the last record of an answer has
// left the kernel, and would be taken for the next answer.
func (c *conn) decryptedAll() bool {
	_ = c.SetReadDeadline(time.Unix(1, 0)) // looks without waiting
	_, err := c.br.Peek(1)
	c.ended = false
	return errors.Is(err, os.ErrDeadlineExceeded) && c.SetReadDeadline(time.Time{}) == nil
}

// setUserTimeout bounds how long written bytes may stay unacknowledged; 0 is the kernel's own bound.
func (c *conn) setUserTimeout(d time.Duration) error {
	raw, err := c.tcp.SyscallConn()
	if err != nil {
		return err
	}
	return setUserTimeout(raw, d)
}

func setUserTimeout(raw syscall.RawConn, d time.Duration) error {
	var serr error
	err := raw.Control(func(fd uintptr) {
		serr = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d/time.Millisecond))
	})
	return errors.Join(err, serr)
}

// dialer opens connections to one node.
type dialer struct {
	address     string
	connect     time.Duration
	userTimeout func() time.Duration
	tls         *tls.Config // nil for http
}

// dial connects, with rtt to the node's region on top of each of a handshake's round trips.
func (d *dialer) dial(ctx context.Context, rtt time.Duration) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.connect+4*rtt)
	defer cancel()
	nd := net.Dialer{
		Control:         d.control,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3},
	}
	raw, err := nd.DialContext(ctx, "tcp", d.address)
	if err != nil {
		return nil, err
	}
	tcp, ok := raw.(*net.TCPConn)
	if !ok {
		_ = raw.Close()
		return nil, fmt.Errorf("not a TCP connection: %T", raw)
	}
	c := &conn{Conn: raw, tcp: tcp}
	if d.tls != nil {
		secure, err := identity.Handshake(ctx, raw, d.tls)
		if err != nil {
			return nil, fmt.Errorf("tls handshake: %w", err)
		}
		c.Conn = secure
	}
	c.br = bufio.NewReaderSize(c, readBufferSize)
	c.bw = bufio.NewWriterSize(c, writeBufferSize)
	return c, nil
}

// control bounds how long written bytes may stay unacknowledged: a node behind a black hole ends
// the connection after userTimeout instead of the kernel's quarter of an hour.
func (d *dialer) control(_, _ string, raw syscall.RawConn) error {
	return setUserTimeout(raw, d.userTimeout())
}
