package testnet

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/quorate/quorate/internal/child"
	"github.com/quorate/quorate/internal/poll"
)

// Host is one network namespace with the loopback interface and one way out.
type Host struct {
	Name  string
	addr  netip.Addr
	tun   *os.File
	space *os.File // the namespace
	group *child.Group
}

// Addr returns the host's address.
func (h *Host) Addr() netip.Addr { return h.addr }

// newHost makes the namespace on a thread that is then thrown away; the open file keeps it.
func newHost(name string, addr netip.Addr) (*Host, error) {
	h := &Host{Name: name, addr: addr}
	err := inNewNamespace(func() (err error) {
		if h.space, err = os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid())); err != nil {
			return err
		}
		if err := configure("lo", netip.Addr{}); err != nil {
			return err
		}
		if h.tun, err = openTUN("way"); err != nil {
			return err
		}
		return configure("way", addr)
	})
	if err == nil {
		h.group, err = child.NewGroupIn(h.enter)
	}
	if err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

// enter moves the thread it runs on into the host.
func (h *Host) enter() error {
	if err := unix.Setns(int(h.space.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("testnet: enter %s: %w", h.Name, err)
	}
	return nil
}

// Do runs f on a thread of its own that is on the host: sockets that f makes itself are there, and stay there.
func (h *Host) Do(f func() error) error {
	result := make(chan error)
	go onOwnThread(func() error {
		if err := h.enter(); err != nil {
			return err
		}
		return f()
	}, result)
	return <-result
}

// onOwnThread runs f on a thread that ends with it: nobody else shall get a thread that was moved.
func onOwnThread(f func() error, result chan<- error) {
	runtime.LockOSThread()
	result <- f()
}

// DialContext connects from the host to an address with an IP; it fits http.Transport.
func (h *Host) DialContext(ctx context.Context, network, address string) (c net.Conn, err error) {
	err = h.Do(func() (err error) {
		c, err = (&net.Dialer{}).DialContext(ctx, network, address)
		return err
	})
	return c, err
}

// Listen listens on the host.
func (h *Host) Listen(network, address string) (l net.Listener, err error) {
	err = h.Do(func() (err error) {
		l, err = net.Listen(network, address)
		return err
	})
	return l, err
}

// Group starts processes on the host, which end with it.
func (h *Host) Group() *child.Group { return h.group }

func (h *Host) close() {
	if h.group != nil {
		h.group.Close()
	}
	for _, f := range []*os.File{h.tun, h.space} {
		if f != nil {
			_ = f.Close()
		}
	}
}

// openTUN makes a device in the thread's namespace.
func openTUN(name string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	r, err := unix.NewIfreq(name)
	if err != nil {
		return nil, err
	}
	r.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, r); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("tun: %w", err)
	}
	return os.NewFile(uintptr(fd), "tun"), nil
}

// route is Linux's struct rtentry on 64-bit machines.
type routeEntry struct {
	_       uint64
	dst     unix.RawSockaddrInet4
	gateway unix.RawSockaddrInet4
	mask    unix.RawSockaddrInet4
	flags   uint16
	_       [6]byte
	_       [2]uint64
	metric  int16
	_       [6]byte
	device  *byte
	_       [4]uint64
}

// configure brings an interface up; with an address it becomes the way to everywhere.
func configure(name string, addr netip.Addr) error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	if addr.IsValid() {
		for _, set := range []struct {
			request uint
			ip      netip.Addr
		}{{unix.SIOCSIFADDR, addr}, {unix.SIOCSIFNETMASK, netip.AddrFrom4([4]byte{255, 255, 255, 255})}} {
			r, err := unix.NewIfreq(name)
			if err != nil {
				return err
			}
			four := set.ip.As4()
			if err := r.SetInet4Addr(four[:]); err != nil {
				return err
			}
			if err := unix.IoctlIfreq(s, set.request, r); err != nil {
				return fmt.Errorf("%s: address: %w", name, err)
			}
		}
	}
	r, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, r); err != nil {
		return fmt.Errorf("%s: up: %w", name, err)
	}
	if !addr.IsValid() {
		return nil
	}
	device := append([]byte(name), 0)
	e := routeEntry{flags: unix.RTF_UP, device: &device[0]}
	e.dst.Family, e.mask.Family, e.gateway.Family = unix.AF_INET, unix.AF_INET, unix.AF_INET
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(s), unix.SIOCADDRT, uintptr(unsafe.Pointer(&e))); errno != 0 { //nolint:gosec // the kernel's own structure
		return fmt.Errorf("%s: route: %w", name, errno)
	}
	runtime.KeepAlive(device)
	return nil
}

// Await calls f until it returns true, or an error after bound.
func Await(bound time.Duration, what string, f func() bool) error {
	return poll.For(5*time.Millisecond, bound, what, f)
}
