package sessions_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/child"
	"github.com/quorate/quorate/internal/mcpnode/pool"
	"github.com/quorate/quorate/internal/testnet"
)

// place is where processes run: this machine's loopback, or a host of a network of its own.
type place struct {
	t     *testing.T
	host  *testnet.Host // nil: loopback
	group *child.Group

	mu   sync.Mutex
	port int
}

// loopback is one place for everything.
func loopback(t *testing.T) *place {
	g := child.NewGroup()
	t.Cleanup(g.Close)
	return &place{t: t, group: g}
}

// newHost is a place in a network.
func newHost(t *testing.T, n *testnet.Net, name string) *place {
	t.Helper()
	h, err := n.Host(name)
	if err != nil {
		t.Fatal(err)
	}
	return &place{t: t, host: h, group: h.Group(), port: 20000}
}

// address is a HOST:PORT that stays this test's, whatever is dead meanwhile.
func (p *place) address() string {
	p.t.Helper()
	if p.host != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.port++
		return netip.AddrPortFrom(p.host.Addr(), uint16(p.port)).String()
	}
	address, mark, err := pool.Reserve()
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = mark.Close() })
	return address
}

// dial connects from here. from is the sender's loopback address, nil for any.
func (p *place) dial(ctx context.Context, to string, from net.IP) (c net.Conn, err error) {
	var d net.Dialer
	if from != nil {
		d.LocalAddr = &net.TCPAddr{IP: from}
	}
	if p.host == nil {
		return d.DialContext(ctx, "tcp", to)
	}
	err = p.host.Do(func() (err error) {
		c, err = d.DialContext(ctx, "tcp", to)
		return err
	})
	return c, err
}

// transport connects from here, with a sender's address of its own: a balancer tells agents apart by it.
func (p *place) transport(from net.IP) *http.Transport {
	return &http.Transport{
		MaxIdleConnsPerHost: 4, DisableCompression: true,
		DialContext: func(ctx context.Context, _, to string) (net.Conn, error) { return p.dial(ctx, to, from) },
	}
}

// lines keeps what a process says.
type lines struct {
	mu  sync.Mutex
	all bytes.Buffer
}

// maxLines bounds it, in bytes.
const maxLines = 16 << 20

// Write implements io.Writer.
func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all.Len() < maxLines {
		l.all.Write(b)
	}
	return len(b), nil
}

// String returns all of it.
func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

func (l *lines) tail() string {
	const most = 6000
	all := l.String()
	return all[max(0, len(all)-most):]
}

// run runs a command here to its end, and returns its exit code and what it printed.
func (p *place) run(env []string, args ...string) (int, string) {
	p.t.Helper()
	out := new(lines)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.t.Context()), 2*time.Minute)
	defer cancel()
	process, _, err := p.group.Start(ctx, child.Spec{Path: args[0], Args: args[1:], Env: env, Log: out})
	if err != nil {
		p.t.Fatalf("%v: %v", args, err)
	}
	select {
	case <-process.Done():
	case <-ctx.Done():
		process.Kill()
		return -1, fmt.Sprintf("not within two minutes: %s", out)
	}
	var ended *exec.ExitError
	if err := process.Err(); err != nil && !errors.As(err, &ended) {
		p.t.Fatalf("%v: %v", args, err)
	}
	if ended != nil {
		return ended.ExitCode(), out.String()
	}
	return 0, out.String()
}
