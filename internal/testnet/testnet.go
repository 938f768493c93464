// Package testnet makes networks for tests: hosts are network namespaces, joined by a router in this process
// that delays, loses, cuts and rejects what passes between any two of them. It needs root and Linux, leaves
// nothing behind, and must not know what runs on its hosts.
//
// Linux's own emulator (netem) is missing on many machines; a TUN device per namespace and a router in Go
// need nothing but /dev/net/tun.
package testnet

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Available returns why there can be no network here, or nil.
func Available() error {
	if os.Geteuid() != 0 {
		return errors.New("testnet: network namespaces need root")
	}
	f, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("testnet: %w", err)
	}
	_ = f.Close()
	return inNewNamespace(func() error { return nil })
}

// Condition is what happens to packets in one direction between two hosts.
type Condition struct {
	Delay  time.Duration
	Jitter time.Duration // up to this much more, evenly; packets keep their order
	Loss   float64       // part of the packets that is dropped, 0..1
	Cut    bool          // all are dropped: a black hole
	Reject bool          // TCP is answered with a reset in the receiver's name, the rest is dropped
}

// Net is a network of hosts. Its methods may be called concurrently.
type Net struct {
	mu    sync.Mutex
	rnd   *rand.Rand
	hosts map[netip.Addr]*Host
	lines map[[2]netip.Addr]*line // by sender and receiver
	done  sync.WaitGroup
	ended bool
}

// New returns a network without hosts. seed decides jitter and loss.
func New(seed uint64) *Net {
	return &Net{rnd: rand.New(rand.NewPCG(seed, 1)), hosts: make(map[netip.Addr]*Host), lines: make(map[[2]netip.Addr]*line)}
}

// maxHosts bounds a network: each host has a third byte of its own.
const maxHosts = 250

// Host adds a host. Its address is 10.77.N.1, N from 1 in the order of the calls.
func (n *Net) Host(name string) (*Host, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ended || len(n.hosts) >= maxHosts {
		return nil, fmt.Errorf("testnet: host %s: network is closed or full", name)
	}
	h, err := newHost(name, netip.AddrFrom4([4]byte{10, 77, byte(len(n.hosts) + 1), 1}))
	if err != nil {
		return nil, fmt.Errorf("testnet: host %s: %w", name, err)
	}
	for _, o := range n.hosts {
		for _, way := range [...][2]*Host{{h, o}, {o, h}} {
			l := newLine(way[0], way[1])
			n.lines[[2]netip.Addr{way[0].addr, way[1].addr}] = l
			n.done.Go(l.run)
		}
	}
	n.hosts[h.addr] = h
	n.done.Go(func() { n.route(h) })
	return h, nil
}

// Set puts both directions between two hosts into a condition.
func (n *Net) Set(a, b *Host, c Condition) {
	n.SetWay(a, b, c)
	n.SetWay(b, a, c)
}

// SetWay puts one direction into a condition.
func (n *Net) SetWay(from, to *Host, c Condition) {
	n.mu.Lock()
	l := n.lines[[2]netip.Addr{from.addr, to.addr}]
	n.mu.Unlock()
	l.set(c)
}

// Change changes the condition of both directions between two hosts.
func (n *Net) Change(a, b *Host, change func(*Condition)) {
	n.mu.Lock()
	ways := [...]*line{n.lines[[2]netip.Addr{a.addr, b.addr}], n.lines[[2]netip.Addr{b.addr, a.addr}]}
	n.mu.Unlock()
	for _, l := range ways {
		c := l.condition()
		change(&c)
		l.set(c)
	}
}

// Isolate changes the condition between a host and all others.
func (n *Net) Isolate(h *Host, change func(*Condition)) {
	n.mu.Lock()
	var others []*Host
	for _, o := range n.hosts {
		if o != h {
			others = append(others, o)
		}
	}
	n.mu.Unlock()
	for _, o := range others {
		n.Change(h, o, change)
	}
}

// Close ends the hosts' processes and the network.
func (n *Net) Close() {
	n.mu.Lock()
	n.ended = true
	hosts := n.hosts
	n.hosts = map[netip.Addr]*Host{}
	n.mu.Unlock()
	for _, h := range hosts {
		h.close()
	}
	for _, l := range n.lines {
		l.close()
	}
	n.done.Wait()
}

// route carries what a host sends.
func (n *Net) route(from *Host) {
	buf := make([]byte, mtu)
	for {
		size, err := from.tun.Read(buf)
		if err != nil {
			return // closed
		}
		p := packet(buf[:size])
		if !p.valid() {
			continue
		}
		n.mu.Lock()
		l := n.lines[[2]netip.Addr{from.addr, p.destination()}]
		lost := l != nil && l.condition().Loss > 0 && n.rnd.Float64() < l.condition().Loss
		jitter := 0.0
		if l != nil && l.condition().Jitter > 0 {
			jitter = n.rnd.Float64()
		}
		n.mu.Unlock()
		if l != nil && !lost {
			l.send(append(packet(nil), p...), jitter)
		}
	}
}

// inNewNamespace runs f on a thread with a network namespace of its own, which ends with it.
func inNewNamespace(f func() error) error {
	result := make(chan error)
	go onOwnThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("testnet: unshare: %w", err)
		}
		return f()
	}, result)
	return <-result
}
