package delay

import (
	"net"
	"runtime"

	"golang.org/x/sys/unix"
)

// held is a port that is bound and not listened on: while nothing else listens there connects are
// refused, and the kernel gives the port to nobody else. A nil one holds nothing.
type held struct{ fd int }

// hold binds address, before anything listens there, and returns it with its port. Only Linux lets a
// listener have the port too; where it cannot be held another program may take it while the link is
// broken, and then Heal says so.
func hold(address string) (*held, string) {
	at, err := net.ResolveTCPAddr("tcp4", address)
	if err != nil || runtime.GOOS != "linux" {
		return nil, address
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, address
	}
	h := &held{fd}
	name := &unix.SockaddrInet4{Port: at.Port}
	copy(name.Addr[:], at.IP.To4()) // none means every interface, as 0.0.0.0 does
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) != nil || unix.Bind(fd, name) != nil {
		h.release()
		return nil, address
	}
	bound, err := unix.Getsockname(fd)
	if got, ok := bound.(*unix.SockaddrInet4); err == nil && ok {
		at.Port = got.Port
	}
	return h, at.String()
}

func (h *held) release() {
	if h != nil {
		_ = unix.Close(h.fd)
	}
}
