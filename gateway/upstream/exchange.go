package upstream

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// concurrentBody is the size above which a body is written while the response is read: a node that
// answers before it has read everything would otherwise leave both sides writing. What is not larger
// may lie in a buffer that is used again as soon as the exchange has ended.
const concurrentBody = 32 << 10

// exchange is one attempt on one connection, and then the body of its response.
type exchange struct {
	node     *Node
	conn     *conn
	ctx      context.Context
	stop     func() bool // ends the watch on ctx
	body     io.ReadCloser
	written  chan error // the concurrent writer's end; nil when the body was written in line
	keep     bool       // the connection may serve another exchange
	standing bool       // a stream that stays open; not counted as in flight
	finished atomic.Bool
}

// start writes the request, naming the epoch fence, and reads the response's headers.
func (x *exchange) start(r *Request, fence uint64) (*http.Response, error) {
	c := x.conn
	c.written, c.budget = 0, maxHeaderBytes
	if x.ctx.Done() != nil {
		x.stop = context.AfterFunc(x.ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	}
	suspect := x.node.suspectAfter()
	c.wait.Store(int64(suspect))
	c.waiting.Store(true)
	c.suspect.Reset(suspect)
	defer x.answered()
	if err := x.write(r, fence); err != nil {
		// A node may answer and close without reading all of it (413, 401): the answer counts.
		if resp, rerr := x.read(r); rerr == nil {
			resp.Close = true
			return resp, nil
		}
		return nil, err
	}
	return x.read(r)
}

// answered ends the suspicion: from here on the node has spoken.
func (x *exchange) answered() {
	x.conn.waiting.Store(false)
	x.conn.suspect.Stop()
}

func (x *exchange) write(r *Request, fence uint64) error {
	c := x.conn
	r.writeHead(c.bw, x.node.target, x.node.host, fence)
	if len(r.Body) <= concurrentBody {
		c.bw.Write(r.Body)
		return c.bw.Flush()
	}
	if err := c.bw.Flush(); err != nil {
		return err
	}
	// A node that is slow to read shuts its window, which counts as unacknowledged although it lives. Until
	// it answers, the suspect probes say whether it does.
	if err := c.setUserTimeout(0); err != nil {
		return err
	}
	x.written = make(chan error, 1)
	go func() {
		_, err := c.Conn.Write(r.Body)
		x.written <- err
	}()
	return nil
}

// read returns the final response, leaving out up to five interim ones (RFC 9110 section 15.2).
func (x *exchange) read(r *Request) (*http.Response, error) {
	for range 6 {
		resp, err := http.ReadResponse(x.conn.br, x.node.shape(r.Method))
		if err != nil {
			return nil, err
		}
		if resp.StatusCode >= 200 {
			x.conn.budget = -1
			x.body, x.keep = resp.Body, !resp.Close
			resp.Body = x
			return resp, nil
		}
	}
	return nil, errors.New("more than five interim responses")
}

// Read implements io.Reader for the response's body.
func (x *exchange) Read(p []byte) (int, error) {
	n, err := x.body.Read(p)
	switch {
	case err == nil:
	case errors.Is(err, io.EOF):
		x.finish(x.keep && x.wrote())
	default:
		err = x.node.fail(x.ctx, x.conn, Responding, err)
		x.finish(false)
	}
	return n, err
}

// BeforeWait makes f run whenever reading the body needs more than what has already arrived, so that
// what was passed on can be flushed just then, and only then.
func (x *exchange) BeforeWait(f func()) { x.conn.beforeRead = f }

// Close implements io.Closer; a body that was not read to its end costs its connection.
func (x *exchange) Close() error {
	x.finish(false)
	return nil
}

// wrote reports whether the whole request has left.
func (x *exchange) wrote() bool {
	if x.written == nil {
		return true
	}
	select {
	case err := <-x.written:
		return err == nil
	default:
		return false
	}
}

func (x *exchange) finish(reuse bool) {
	if !x.finished.CompareAndSwap(false, true) {
		return
	}
	// A watch that has already fired may still set its deadline: that connection is spoilt.
	if x.stop != nil && !x.stop() {
		reuse = false
	}
	if reuse && x.written != nil {
		reuse = x.conn.setUserTimeout(x.node.unacknowledged()) == nil
	}
	if x.node.Unproven() {
		reuse = false
	}
	if !x.standing {
		x.node.inFlight.Add(-1)
	}
	x.conn.beforeRead = nil
	if reuse {
		x.node.pool.put(x.conn, time.Now())
	} else {
		x.node.pool.drop(x.conn)
	}
}
