package identity

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/quorate/quorate/regions/identity/identitytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a TLS server that counts what reaches it behind the handshake, and answers with one byte.
type server struct {
	*identitytest.Listener
	ended   chan struct{} // a connection has
	names   chan string   // what it was asked for
	resumed atomic.Int64  // handshakes that resumed a session
}

func serve(t testing.TB, cfg *tls.Config) *server {
	t.Helper()
	s := &server{Listener: identitytest.Listen(t, "", cfg), ended: make(chan struct{}, 64), names: make(chan string, 64)}
	ctx, stop := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		for {
			c, err := s.Accept()
			if err != nil {
				return
			}
			work.Go(func() { s.speak(ctx, c) })
		}
	})
	t.Cleanup(func() { stop(); s.Close(); work.Wait() })
	return s
}

func (s *server) speak(ctx context.Context, c net.Conn) {
	defer func() { s.ended <- struct{}{} }()
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	if _, err := c.Write([]byte("!")); err != nil { // a client that waits for it has read the session ticket
		return
	}
	state := c.(interface{ ConnectionState() tls.ConnectionState }).ConnectionState()
	s.names <- state.ServerName
	if state.DidResume {
		s.resumed.Add(1)
	}
	_, _ = io.Copy(io.Discard, c)
}

// connect makes a connection by cfg, sends a byte if it is proven, and waits until the server has let go of it.
func (s *server) connect(t testing.TB, cfg *tls.Config) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { <-s.ended }()
	c, err := Handshake(ctx, raw, cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	var b [1]byte
	if _, err := io.ReadFull(c, b[:]); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(b[:]); err != nil {
		t.Fatal(err)
	}
	return nil
}
