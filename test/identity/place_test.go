package identity_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/quorate/quorate/internal/child"
	"github.com/quorate/quorate/internal/gatewayproc"
	"github.com/quorate/quorate/internal/mcpnode"
	"github.com/quorate/quorate/regions/identity/identitytest"
)

// binary is the quorate command, whose hidden command "node" is a real MCP server.
var binary string

func TestMain(m *testing.M) { goleak.VerifyTestMain(gatewayproc.Tests{M: m, Binary: &binary}) }

// startNode runs an MCP server process and returns its address; it speaks no TLS.
func startNode(t *testing.T, name string) string {
	t.Helper()
	g := child.NewGroup()
	t.Cleanup(g.Close)
	_, line, err := g.Start(t.Context(), child.Spec{
		Path: binary, Args: []string{"node", "--name", name}, Ready: child.Stdout, ReadyMsg: mcpnode.ReadyMsg,
	})
	if err != nil {
		t.Fatal(err)
	}
	var ready struct{ Address string }
	if err := json.Unmarshal(line, &ready); err != nil {
		t.Fatal(err)
	}
	return ready.Address
}

// place is an address at which an MCP server answers behind TLS, until it is killed or frozen.
type place struct {
	*identitytest.Listener
	backend string
	closed  chan struct{} // it accepts no more
	frozen  chan struct{}
	killed  chan struct{}
	once    sync.Once
	work    sync.WaitGroup
}

// open makes the server at backend answer at address with a certificate; "" is a free address.
func open(t *testing.T, address, backend string, cert tls.Certificate) *place {
	t.Helper()
	return serve(t, identitytest.Listen(t, address, &tls.Config{Certificates: []tls.Certificate{cert}}), backend)
}

func serve(t *testing.T, l *identitytest.Listener, backend string) *place {
	p := &place{Listener: l, backend: backend, closed: make(chan struct{}), frozen: make(chan struct{}), killed: make(chan struct{})}
	p.work.Go(p.accept)
	t.Cleanup(p.kill)
	return p
}

// kill ends it with all its connections, as SIGKILL does.
func (p *place) kill() {
	p.once.Do(func() { close(p.killed) })
	_ = p.Close()
	p.work.Wait()
}

// replace leaves every connection open and silent, and lets another server have those to come: at no moment does
// nobody answer.
func (p *place) replace(t *testing.T, backend string, cert tls.Certificate) *place {
	t.Helper()
	tcp := p.Listener.Listener.(*net.TCPListener)
	close(p.frozen)
	if err := tcp.SetDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	<-p.closed
	if err := tcp.SetDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	return serve(t, identitytest.Over(tcp, &tls.Config{Certificates: []tls.Certificate{cert}}), backend)
}

func (p *place) accept() {
	defer close(p.closed)
	for {
		c, err := p.Accept()
		if err != nil {
			return
		}
		p.work.Go(func() { p.carry(c) })
	}
}

func (p *place) carry(front net.Conn) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	p.work.Go(func() {
		select {
		case <-p.killed:
			_ = front.(interface{ NetConn() net.Conn }).NetConn().Close() // without a word of TLS
			stop()
		case <-ctx.Done():
		}
	})
	defer front.Close()
	head := make([]byte, 1) // nothing is connected for a handshake that fails
	if _, err := io.ReadFull(front, head); err != nil {
		return
	}
	back, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.backend)
	if err != nil {
		return
	}
	defer context.AfterFunc(ctx, func() { _ = back.Close() })()
	defer back.Close()
	if _, err := back.Write(head); err != nil {
		return
	}
	p.work.Go(func() { defer stop(); p.copy(front, back) })
	p.copy(back, front)
	stop()
}

func (p *place) copy(to, from net.Conn) {
	defer to.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		select {
		case <-p.frozen:
			<-p.killed
			return
		default:
		}
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}
