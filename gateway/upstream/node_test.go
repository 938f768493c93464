package upstream

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/quorate/quorate/internal/beside"
	"github.com/quorate/quorate/internal/breaker"
	"github.com/quorate/quorate/regions"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// seen records what the observer was told.
type seen struct {
	mu    sync.Mutex
	calls []bool

	unproven []error
}

func (s *seen) NodeFailed(_ regions.NodeID, dead bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, dead)
}

func (s *seen) NodeUnproven(_ regions.NodeID, cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unproven = append(s.unproven, cause)
}

func (s *seen) deaths() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, dead := range s.calls {
		if dead {
			n++
		}
	}
	return n
}

var errSilent = errors.New("no sign of life")

func newNode(t testing.TB, url string, alive func(context.Context) error, change func(*Config)) (*Node, *seen) {
	t.Helper()
	b, err := breaker.New(breaker.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if alive == nil {
		alive = func(context.Context) error { return nil }
	}
	s := &seen{}
	cfg := Config{ID: "n", URL: url, Alive: alive, Breaker: b, Observer: s, Logger: slog.New(slog.DiscardHandler),
		Suspect: 50 * time.Millisecond, Probe: 50 * time.Millisecond}
	if change != nil {
		change(&cfg)
	}
	n, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n, s
}

func post(body string) *Request {
	return &Request{Method: http.MethodPost, Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(body)}
}

// raw starts a TCP server that hands each connection to serve.
func raw(t testing.TB, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	beside.Serve(t, l, serve)
	return "http://" + l.Addr().String() + "/mcp"
}

func readRequest(c net.Conn) bool {
	r, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, r.Body)
	return err == nil
}

func wantError(t *testing.T, err error, p Progress, f Failure) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v is no *Error", err)
	}
	if e.Progress != p || e.Failure != f {
		t.Fatalf("got %s after %s (%v), want %s after %s", e.Failure, e.Progress, e.Err, f, p)
	}
}

func TestAnswersReuseOneConnection(t *testing.T) {
	var conns atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if r.Header.Get("Connection") != "" || r.Header.Get("Origin") != "" || r.Header.Get("X-Set") != "yes" {
			t.Errorf("header reached the node: %v", r.Header)
		}
		w.Write(b)
	}))
	s.Config.ConnState = func(_ net.Conn, st http.ConnState) {
		if st == http.StateNew {
			conns.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	n, _ := newNode(t, s.URL, nil, nil)
	for range 10 {
		r := post(`{"a":1}`)
		r.Header["Connection"], r.Header["Origin"], r.Header["X-Set"] = []string{"keep-alive"}, []string{"http://evil"}, []string{"no"}
		r.Set = []Field{{"X-Set", "yes"}, {"X-Injected", "a\r\nX-Evil: b"}}
		resp, err := n.Do(context.Background(), r)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		if err != nil || string(b) != `{"a":1}` {
			t.Fatalf("body %q, error %v", b, err)
		}
	}
	if got := conns.Load(); got != 1 {
		t.Errorf("%d connections for 10 calls in a row, want 1", got)
	}
	if n.InFlight() != 0 {
		t.Errorf("%d in flight after the end", n.InFlight())
	}
}

func TestRefusedConnectIsNotSentAndDeath(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + l.Addr().String()
	l.Close()
	n, s := newNode(t, url, nil, nil)
	down := n.Down()
	_, err = n.Do(context.Background(), post(`{}`))
	wantError(t, err, NotSent, Refused)
	<-down
	if !n.Dead() || s.deaths() != 1 {
		t.Errorf("dead %v, observer told of %d deaths, want true and 1", n.Dead(), s.deaths())
	}
	if n.Revive(time.Now().Add(-time.Hour)) {
		t.Error("revived by a sighting from before its death")
	}
	if !n.Revive(time.Now().Add(time.Second)) || n.Dead() {
		t.Error("not revived by a later sighting")
	}
}

func TestBrokenConnections(t *testing.T) {
	answer := func(s string) func(net.Conn) {
		return func(c net.Conn) {
			if readRequest(c) {
				io.WriteString(c, s)
			}
		}
	}
	tests := []struct {
		name     string
		serve    func(net.Conn)
		progress Progress
		failure  Failure
		dead     bool
	}{
		{"closed after the request", answer(""), Sent, Reset, false},
		{"closed after the request, process gone", answer(""), Sent, Dead, true},
		{"half a header", answer("HTTP/1.1 200 OK\r\nConte"), Sent, Reset, false},
		{"not HTTP", answer("SSH-2.0-OpenSSH_9.2\r\n\r\n"), Sent, Malformed, false},
		{"endless header", answer("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n"), Sent, Malformed, false},
		{"only interim responses", answer(strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 10)), Sent, Malformed, false},
		{"half a body", answer("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), Responding, Reset, false},
		{"half a chunk", answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc"), Responding, Reset, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n, _ := newNode(t, raw(t, test.serve), func(context.Context) error {
				if test.dead {
					return errSilent
				}
				return nil
			}, nil)
			resp, err := n.Do(context.Background(), post(`{}`))
			if err == nil {
				_, err = io.ReadAll(resp.Body)
				resp.Body.Close()
			}
			wantError(t, err, test.progress, test.failure)
			if n.Dead() != test.dead || n.InFlight() != 0 {
				t.Errorf("dead %v, in flight %d", n.Dead(), n.InFlight())
			}
		})
	}
}

func TestSilentNodeDiesWithinSuspectAndProbe(t *testing.T) {
	n, s := newNode(t, raw(t, func(c net.Conn) { io.Copy(io.Discard, c) }), func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}, nil)
	began := time.Now()
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			_, err := n.Do(context.Background(), post(`{}`))
			wantError(t, err, Sent, Dead)
		})
	}
	wg.Wait()
	if d := time.Since(began); d > time.Second {
		t.Errorf("took %v", d)
	}
	if s.deaths() != 1 {
		t.Errorf("observer told of %d deaths, want 1", s.deaths())
	}
}

func TestSlowCallIsNeverCutWhileItsNodeLives(t *testing.T) {
	var probes atomic.Int32
	release := make(chan struct{})
	n, _ := newNode(t, raw(t, func(c net.Conn) {
		if readRequest(c) {
			<-release
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	}), func(context.Context) error {
		if probes.Add(1) == 3 {
			close(release)
		}
		return nil
	}, func(c *Config) { c.Suspect = 5 * time.Millisecond })
	resp, err := n.Do(context.Background(), post(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "ok" {
		t.Fatalf("body %q, error %v", b, err)
	}
	if probes.Load() < 3 {
		t.Errorf("%d probes, want at least 3", probes.Load())
	}
}

func TestCanceledCallSaysNothingOfItsNode(t *testing.T) {
	n, s := newNode(t, raw(t, func(c net.Conn) { io.Copy(io.Discard, c) }), nil, nil)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	_, err := n.Do(ctx, post(`{}`))
	wantError(t, err, Sent, Canceled)
	if len(s.calls) != 0 || n.Dead() {
		t.Errorf("observer told %v, dead %v", s.calls, n.Dead())
	}
}

// A node that closes an idle connection must not cost a call: what is written to it would count as sent.
func TestIdleConnectionClosedByTheNodeIsNotUsed(t *testing.T) {
	served := make(chan struct{}, 100)
	n, _ := newNode(t, raw(t, func(c net.Conn) {
		if readRequest(c) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			c.Close()
			served <- struct{}{}
		}
	}), nil, nil)
	for range 50 {
		resp, err := n.Do(context.Background(), post(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		<-served
	}
}

func TestNodeMayAnswerBeforeItReadTheBody(t *testing.T) {
	n, _ := newNode(t, raw(t, func(c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			io.WriteString(c, "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig")
			io.CopyN(io.Discard, c, 1<<20)
		}
	}), nil, nil)
	for range 20 {
		resp, err := n.Do(context.Background(), post(strings.Repeat("x", 4<<20)))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "big" {
			t.Fatalf("body %q, error %v", b, err)
		}
	}
}

func TestDeathEndsBodiesUnderWay(t *testing.T) {
	n, _ := newNode(t, raw(t, func(c net.Conn) {
		if readRequest(c) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
			io.Copy(io.Discard, c)
		}
	}), func(context.Context) error { return errSilent }, nil)
	resp, err := n.Do(context.Background(), post(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	n.Suspect()
	_, err = io.ReadAll(resp.Body)
	wantError(t, err, Responding, Dead)
}

func TestConfigIsChecked(t *testing.T) {
	for _, url := range []string{"", "ftp://x/", "http://", "://"} {
		if _, err := New(Config{ID: "n", URL: url}); err == nil {
			t.Errorf("url %q accepted", url)
		}
	}
}

func benchServer(b testing.TB) string {
	body := []byte(strings.Repeat("x", 218))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.Write(body)
	}))
	b.Cleanup(s.Close)
	return s.URL
}

func BenchmarkDo(b *testing.B) { benchDo(b, nil) }

// benchDo exchanges requests that need leave, or none.
func benchDo(b *testing.B, permit Permit) {
	n, _ := newNode(b, benchServer(b), nil, nil)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		r := post(strings.Repeat("y", 300))
		r.Permit = permit
		for pb.Next() {
			ctx, cancel := context.WithCancel(context.Background())
			resp, err := n.Do(ctx, r)
			if err != nil {
				b.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			cancel()
		}
	})
}

func BenchmarkHTTPTransport(b *testing.B) {
	url := benchServer(b)
	tr := &http.Transport{MaxIdleConnsPerHost: 100}
	b.Cleanup(tr.CloseIdleConnections)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		body := strings.Repeat("y", 300)
		for pb.Next() {
			ctx, cancel := context.WithCancel(context.Background())
			r, _ := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
			resp, err := tr.RoundTrip(r)
			if err != nil {
				b.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			cancel()
		}
	})
}

// A node that was found by name is dialled at its address and still asked for by its name.
func TestHostIsTheNodesOwn(t *testing.T) {
	asked := make(chan string, 1)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.Host }))
	defer s.Close()
	for host, want := range map[string]string{"": strings.TrimPrefix(s.URL, "http://"), "n1.search.example.com:8443": "n1.search.example.com:8443"} {
		n, _ := newNode(t, s.URL+"/mcp", nil, func(c *Config) { c.Host = host })
		resp, err := n.Do(t.Context(), &Request{Method: http.MethodPost, Body: []byte("{}")})
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if got := <-asked; got != want {
			t.Errorf("asked for %q, want %q", got, want)
		}
	}
}
