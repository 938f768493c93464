package edge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// unreadBound is how long an agent may leave its answer unread, or its connection silent, while there is
// something to send: it holds a node's connection as long.
const unreadBound = 30 * time.Second

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
