package discovery

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/beside"
	"github.com/quorate/quorate/regions/identity/identitytest"
)

// secured makes a node process answer over TLS at address, and counts what it is sent.
func secured(t *testing.T, address, backend string, cert tls.Certificate) *identitytest.Listener {
	t.Helper()
	l := identitytest.Listen(t, address, &tls.Config{Certificates: []tls.Certificate{cert}})
	carry(t, l, backend)
	return l
}

// carry passes on what comes by a listener, byte by byte, until the test ends.
func carry(t *testing.T, l net.Listener, backend string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	beside.Serve(t, l, func(c net.Conn) { pass(ctx, c, backend) })
	t.Cleanup(stop) // before Serve waits
}

// slowly passes on what comes to a new address, whose every connection takes a while to begin.
func slowly(t *testing.T, backend string, wait time.Duration) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	carry(t, waiting{l, wait}, backend)
	return l.Addr().String()
}

// waiting is a listener whose connections bring nothing for a while.
type waiting struct {
	net.Listener
	wait time.Duration
}

// Accept implements net.Listener.
func (w waiting) Accept() (net.Conn, error) {
	c, err := w.Listener.Accept()
	return &late{Conn: c, from: time.Now().Add(w.wait)}, err
}

type late struct {
	net.Conn
	from time.Time
}

// Read implements net.Conn.
func (l *late) Read(b []byte) (int, error) {
	<-time.After(time.Until(l.from))
	return l.Conn.Read(b)
}

// pass connects to the backend when the first byte has come: nothing is connected for a handshake that fails.
func pass(ctx context.Context, near net.Conn, backend string) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer near.Close()
	defer context.AfterFunc(ctx, func() { _ = near.Close() })()
	head := make([]byte, 1)
	if _, err := io.ReadFull(near, head); err != nil {
		return
	}
	far, err := (&net.Dialer{}).DialContext(ctx, "tcp", backend)
	if err != nil {
		return
	}
	defer far.Close()
	defer context.AfterFunc(ctx, func() { _ = far.Close() })()
	if _, err := far.Write(head); err != nil {
		return
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer stop()
		_, _ = io.Copy(near, far)
	}()
	_, _ = io.Copy(far, near)
	stop()
	<-ended
}

// authorityFile writes an authority's certificate as PEM.
func authorityFile(t *testing.T, certs ...*x509.Certificate) string {
	t.Helper()
	var text []byte
	for _, c := range certs {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	file := filepath.Join(t.TempDir(), "nodes-ca.crt")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// leaf is a node's certificate in the tests of DNS.
func leaf() identitytest.Leaf {
	return identitytest.Leaf{DNS: []string{"n.search.example.com"}, IPs: []net.IP{
		net.IPv4(127, 0, 0, 1), net.IPv4(127, 0, 0, 11), net.IPv4(127, 0, 0, 12), net.IPv4(127, 0, 0, 13),
	}}
}
