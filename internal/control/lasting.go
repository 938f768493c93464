package control

import (
	"net"
	"sync"
)

// lasting is a listener that outlives whoever accepts from it: links are opened once, while Raft is started again
// when the group is forced.
type lasting struct {
	of    net.Listener
	ended chan struct{}
	once  sync.Once
}

func newLasting(l net.Listener) *lasting { return &lasting{of: l, ended: make(chan struct{})} }

// Accept implements net.Listener.
func (l *lasting) Accept() (net.Conn, error) {
	type accepted struct {
		conn net.Conn
		err  error
	}
	next := make(chan accepted, 1)
	go func() { // ends with the next connection, or with the links
		c, err := l.of.Accept()
		next <- accepted{c, err}
	}()
	select {
	case a := <-next:
		return a.conn, a.err
	case <-l.ended:
		go func() { // the one that comes for nobody
			if a := <-next; a.err == nil {
				_ = a.conn.Close()
			}
		}()
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener: no more is accepted here.
func (l *lasting) Close() error { l.once.Do(func() { close(l.ended) }); return nil }

// Addr implements net.Listener.
func (l *lasting) Addr() net.Addr { return l.of.Addr() }
