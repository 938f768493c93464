package delay

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

const (
	// dialTimeout bounds the connect to the target, beyond the delay.
	dialTimeout = 10 * time.Second
	// maxChunk is the most that is read at once, in bytes.
	maxChunk = 32 << 10
)

// conn is one connection through the proxy: near is the client's end, far the target's.
type conn struct {
	p           *Proxy
	near        *net.TCPConn
	there, back *pipe
	ctx         context.Context // ends with the connection
	cancel      context.CancelFunc
	done        chan struct{} // closed when it has ended

	mu    sync.Mutex
	far   *net.TCPConn // nil before the connect
	ended bool
}

// carry moves bytes both ways until both directions have ended or the connection is reset.
func (c *conn) carry() {
	var parts sync.WaitGroup
	defer parts.Wait()
	parts.Go(func() { c.receive(c.near, c.there) })
	far, at := c.connect()
	if far == nil {
		c.end(true)
		return
	}
	// The client learns of its connection a delay after the target does; what it sends then, or sent
	// before as only this kernel said that it was connected, takes another. The target hears of that at
	// last, and its own first bytes take one more.
	d := c.p.Delay()
	var ways sync.WaitGroup
	parts.Go(func() { c.receive(far, c.back) })
	ways.Go(func() { c.deliver(c.there, far, at.Add(2*d)) })
	ways.Go(func() { c.deliver(c.back, c.near, at.Add(3*d)) })
	ways.Wait()
	c.end(false)
}

// connect reaches the target a delay after the client asked. It returns nil when that cannot be, or when
// the client gave up during a cut: the target never hears of it then.
func (c *conn) connect() (far *net.TCPConn, at time.Time) {
	p := c.p
	if !p.arrive(time.Now().Add(p.Delay()), c.done, c.there.ended) {
		return nil, at
	}
	ctx, cancel := context.WithTimeout(c.ctx, dialTimeout)
	defer cancel()
	at = time.Now()
	made, err := new(net.Dialer).DialContext(ctx, "tcp", p.cfg.Target)
	if err != nil {
		p.arrive(at.Add(p.Delay()), c.done, nil) // the refusal travels too
		return nil, at
	}
	far = made.(*net.TCPConn)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		closeHard(far)
		return nil, at
	}
	c.far = far
	return far, at
}

// receive reads from one end into a pipe until the end of the stream, a reset or the connection's end.
func (c *conn) receive(from *net.TCPConn, to *pipe) {
	buf := make([]byte, maxChunk)
	for {
		n, err := from.Read(buf)
		due := time.Now().Add(c.p.Delay())
		if n > 0 && !to.push(chunk{due: due, data: bytes.Clone(buf[:n])}, c.p.cfg.Jitter, c.p.window(), c.done) {
			return
		}
		if err == nil {
			continue
		}
		how := broken
		if errors.Is(err, io.EOF) {
			how = finished
		}
		to.push(chunk{due: due, end: how}, c.p.cfg.Jitter, c.p.window(), c.done)
		return
	}
}

// deliver writes what has arrived, nothing before floor, until the direction has ended.
func (c *conn) deliver(from *pipe, to *net.TCPConn, floor time.Time) {
	for {
		next, ok := from.head(c.done)
		if !ok {
			return
		}
		if next.due.Before(floor) {
			next.due = floor
		}
		if !c.p.arrive(next.due, c.done, nil) {
			return
		}
		switch next.end {
		case finished:
			_ = to.CloseWrite() // a receiver that is gone resets the other direction
			return
		case broken:
			c.end(true)
			return
		}
		if _, err := to.Write(next.data); err != nil {
			c.p.arrive(time.Now().Add(c.p.Delay()), c.done, nil) // so does the reset
			c.end(true)
			return
		}
		from.drop()
	}
}

// end closes both sides, once: with RST when the connection is reset.
func (c *conn) end(reset bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	c.ended = true
	for _, side := range []*net.TCPConn{c.near, c.far} {
		switch {
		case side == nil:
		case reset:
			closeHard(side)
		default:
			side.Close()
		}
	}
	c.cancel()
	close(c.done)
}

func closeHard(c *net.TCPConn) {
	_ = c.SetLinger(0)
	c.Close()
}
