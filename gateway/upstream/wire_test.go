package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// What an agent wrote behind the question mark must not end the request line, and what the operator
// wrote there must not get lost: the checks send it, so calls have to.
func TestQueries(t *testing.T) {
	got := make(chan string, 1)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.URL.RawQuery }))
	defer s.Close()
	tests := []struct{ node, agent, want string }{
		{"", "", ""},
		{"", "a=b", "a=b"},
		{"?key=1", "", "key=1"},
		{"?key=1", "a=b", "key=1&a=b"},
		{"", "a HTTP/1.0", "a%20HTTP/1.0"},
		{"", "a\r\nX: y", "a%0D%0AX:%20y"},
	}
	for _, test := range tests {
		n, _ := newNode(t, s.URL+"/mcp"+test.node, nil, nil)
		r := post(`{}`)
		r.Query = test.agent
		resp, err := n.Do(context.Background(), r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%q and %q: status %d", test.node, test.agent, resp.StatusCode)
			continue
		}
		if q := <-got; q != test.want {
			t.Errorf("%q and %q: the node got %q, want %q", test.node, test.agent, q, test.want)
		}
	}
}

// A node that sends more than its answer must not have the rest taken for the answer to another call, with
// TLS either, where the rest can be in the gateway already although no byte waits in the kernel.
func TestLeftoverOfOneAnswerIsNotTheNext(t *testing.T) {
	cert := httptest.NewUnstartedServer(nil)
	cert.StartTLS()
	defer cert.Close()
	roots := x509.NewCertPool()
	roots.AddCert(cert.Certificate())
	var conns atomic.Int32
	url := raw(t, func(c net.Conn) {
		conns.Add(1)
		both := &together{Conn: c}
		s := tls.Server(both, &tls.Config{Certificates: cert.TLS.Certificates})
		for readRequest(s) {
			both.hold = true
			io.WriteString(s, "HTTP/1.1 204 No Content\r\n\r\n")
			io.WriteString(s, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret")
			both.release()
		}
	})
	n, _ := newNode(t, "https"+url[len("http"):], nil, func(c *Config) {
		c.TLS = &tls.Config{RootCAs: roots, ServerName: "example.com"}
	})
	for range 3 {
		resp, err := n.Do(context.Background(), post(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusNoContent {
			t.Errorf("status %d, body %q, error %v", resp.StatusCode, b, err)
		}
	}
	if conns.Load() != 3 {
		t.Errorf("%d connections for 3 answers with leftovers", conns.Load())
	}
}

// together sends what is written while it holds in one piece.
type together struct {
	net.Conn
	hold bool
	held []byte
}

func (c *together) Write(b []byte) (int, error) {
	if !c.hold {
		return c.Conn.Write(b)
	}
	c.held = append(c.held, b...)
	return len(b), nil
}

func (c *together) release() {
	_, _ = c.Conn.Write(c.held)
	c.hold, c.held = false, nil
}

// TLS connections without leftovers are used again.
func TestTLSConnectionIsReused(t *testing.T) {
	var conns atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }))
	s.Config.ConnState = func(_ net.Conn, st http.ConnState) {
		if st == http.StateNew {
			conns.Add(1)
		}
	}
	s.StartTLS()
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	n, _ := newNode(t, s.URL, nil, func(c *Config) { c.TLS = &tls.Config{RootCAs: roots} })
	for range 5 {
		resp, err := n.Do(context.Background(), post(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(resp.Body); err != nil || string(b) != `{}` {
			t.Fatalf("body %q, error %v", b, err)
		}
	}
	if conns.Load() != 1 {
		t.Errorf("%d connections for 5 calls in a row", conns.Load())
	}
}

// What a node sends where its answer should begin may be what is left of somebody's: it is not for the log.
func TestWhatIsNoAnswerIsNotQuoted(t *testing.T) {
	for _, answer := range []string{"secret\r\n\r\n", "HTTP/1.1 secret\r\n\r\n", "HTTP/1.1 200 OK\r\nsecret\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: secret\r\n\r\n"} {
		url := raw(t, func(c net.Conn) {
			for readRequest(c) {
				io.WriteString(c, answer)
			}
		})
		n, _ := newNode(t, url, nil, nil)
		resp, err := n.Do(context.Background(), post(`{}`))
		if err == nil {
			resp.Body.Close()
		}
		var e *Error
		if !errors.As(err, &e) || e.Failure != Malformed || strings.Contains(err.Error(), "secret") || len(e.Err.Error()) < 10 {
			t.Errorf("%q: %v", answer, err)
		}
	}
}
