package edge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/quorate/quorate/internal/config"
)

// unreadBound is how long an agent may leave its answer unread, or its connection silent, while there is
// something to send: it holds a node's connection as long.
const unreadBound = 30 * time.Second

// listenAgents takes the port for agents. A witness has none: what it gets is closed already.
func listenAgents(cfg *config.Config) (net.Listener, error) {
	if isWitness(cfg) {
		return nobody{}, nil
	}
	return listen(cfg.Listen.Address, unreadBound)
}

// nobody is the listener of a gateway that serves no agents.
type nobody struct{}

// Accept implements net.Listener.
func (nobody) Accept() (net.Conn, error) { return nil, net.ErrClosed }

// Close implements net.Listener.
func (nobody) Close() error { return nil }

// Addr implements net.Listener.
func (nobody) Addr() net.Addr { return noAddr{} }

type noAddr struct{}

// Network implements net.Addr.
func (noAddr) Network() string { return "tcp" }

// String implements net.Addr.
func (noAddr) String() string { return "" }

// listen takes a port whose connections end when what was written to them is neither acknowledged nor
// taken for bound. Linux hands the option on to accepted connections, and applies it to shut windows too.
func listen(address string, bound time.Duration) (net.Listener, error) {
	c := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var serr error
		err := raw.Control(func(fd uintptr) {
			serr = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(bound/time.Millisecond))
		})
		return errors.Join(err, serr)
	}}
	l, err := c.Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("edge: listen: %w", err)
	}
	return l, nil
}
