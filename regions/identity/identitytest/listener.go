package identitytest

import (
	"crypto/tls"
	"net"
	"sync/atomic"
	"testing"
)

// Listener is a TLS listener that counts. Its counts may be read at any time.
type Listener struct {
	net.Listener
	config      *tls.Config
	connections atomic.Int64
	received    atomic.Int64
}

// Listen takes a port on loopback; address "" is a free one.
func Listen(t testing.TB, address string, config *tls.Config) *Listener {
	t.Helper()
	if address == "" {
		address = "127.0.0.1:0"
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return Over(l, config)
}

// Over makes one of a TCP listener that is there.
func Over(l net.Listener, config *tls.Config) *Listener {
	return &Listener{Listener: l, config: config}
}

// Address is its HOST:PORT.
func (l *Listener) Address() string { return l.Addr().String() }

// Connections is how many were accepted, whatever became of their handshakes.
func (l *Listener) Connections() int64 { return l.connections.Load() }

// Received is how many bytes came behind handshakes.
func (l *Listener) Received() int64 { return l.received.Load() }

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	raw, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.connections.Add(1)
	return &counted{Conn: tls.Server(raw, l.config), received: &l.received}, nil
}

// counted is a connection whose handshake is made by the first Read.
type counted struct {
	*tls.Conn
	received *atomic.Int64
}

// Read implements net.Conn.
func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.received.Add(int64(n))
	return n, err
}
