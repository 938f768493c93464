package upstream

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/quorate/quorate/gateway/mcp"
)

// leave is a permit that a test gives and takes back.
type leave struct {
	open  atomic.Bool
	epoch atomic.Uint64
	asked atomic.Int32
	after func() // runs when the epoch was read
}

func (l *leave) Allow() bool {
	l.asked.Add(1)
	return l.open.Load()
}

func (l *leave) Fence() uint64 {
	epoch := l.epoch.Load()
	if l.after != nil {
		l.after()
	}
	return epoch
}

func permitted(l *leave) *Request {
	r := post(`{}`)
	r.Header[mcp.HeaderFence] = []string{"99"} // an agent's own
	if l != nil {
		r.Permit = l
	}
	return r
}

func TestPermit(t *testing.T) {
	got := make(chan []string, 10)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.Header.Values(mcp.HeaderFence) }))
	defer s.Close()
	n, _ := newNode(t, s.URL+"/mcp", nil, nil)
	l := &leave{}
	for i, c := range []struct {
		permit *leave
		open   bool
		epoch  uint64
		want   string
	}{{nil, false, 0, ""}, {l, true, 0, ""}, {l, true, 12, "12"}, {l, false, 13, ""}, {l, true, 1<<64 - 1, "18446744073709551615"}} {
		l.open.Store(c.open)
		l.epoch.Store(c.epoch)
		resp, err := n.Do(t.Context(), permitted(c.permit))
		if c.permit != nil && !c.open {
			wantError(t, err, NotSent, Closed)
			if len(got) != 0 || n.InFlight() != 0 {
				t.Errorf("%d: the node got %d requests, %d in flight", i, len(got), n.InFlight())
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if fence := strings.Join(<-got, ","); fence != c.want {
			t.Errorf("%d: the node was told %q, want %q", i, fence, c.want)
		}
	}
	if n.BreakerState() != "closed" || n.Dead() {
		t.Error("a closed gate is held against the node")
	}
}

// The gate may close while the connection is being made: the node has accepted it then, and gets no byte.
func TestPermitIsAskedBehindTheDial(t *testing.T) {
	l := &leave{}
	l.open.Store(true)
	first := make(chan error, 1)
	n, _ := newNode(t, raw(t, func(c net.Conn) {
		_, err := c.Read(make([]byte, 1))
		first <- err
	}), nil, nil)
	dial := n.dialer.userTimeout
	n.dialer.userTimeout = func() time.Duration { l.open.Store(false); return dial() } // called by the dial
	_, err := n.Do(t.Context(), permitted(l))
	wantError(t, err, NotSent, Closed)
	n.Close()
	if err := <-first; err == nil {
		t.Error("the node got a byte")
	}
}

// A process that stood still between the two looks must not send an old permit under a new epoch.
func TestEpochIsReadBeforeTheGate(t *testing.T) {
	l := &leave{}
	l.open.Store(true)
	l.epoch.Store(5)
	l.after = func() { l.open.Store(false); l.epoch.Store(6) }
	n, _ := newNode(t, raw(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }), nil, nil)
	_, err := n.Do(t.Context(), permitted(l))
	wantError(t, err, NotSent, Closed)
}

func TestRefusedEpoch(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery == "" {
			w.Header().Set(mcp.HeaderFence, "20")
		}
		w.WriteHeader(http.StatusConflict)
	}))
	defer s.Close()
	n, seen := newNode(t, s.URL+"/mcp", nil, nil)
	l := &leave{}
	l.open.Store(true)
	l.epoch.Store(12)
	for range 20 {
		_, err := n.Do(t.Context(), permitted(l))
		wantError(t, err, NotSent, Fenced)
	}
	if n.BreakerState() != "closed" || n.InFlight() != 0 || seen.deaths() != 0 {
		t.Errorf("a refused epoch is held against the node: breaker %s, %d in flight", n.BreakerState(), n.InFlight())
	}
	other := permitted(l)
	other.Query = "q" // a conflict of the node's own says nothing of epochs
	for _, r := range []*Request{permitted(nil), other} {
		resp, err := n.Do(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusConflict || resp.Header.Get(mcp.HeaderFence) != "" {
			t.Errorf("status %d, header %v", resp.StatusCode, resp.Header)
		}
	}
}

// Over a link the header may have gone when the gate closes; without a body nobody acts on it.
func TestPermitOverALink(t *testing.T) {
	l := &leave{}
	bodies := make(chan error, 10)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		if r.Header.Get(mcp.HeaderFence) != "12" {
			t.Errorf("epoch %q", r.Header.Get(mcp.HeaderFence))
		}
		bodies <- err
	}))
	defer s.Close()
	link := &http.Transport{}
	defer link.CloseIdleConnections()
	closing := false
	n, _ := newNode(t, s.URL+"/mcp", nil, func(c *Config) {
		c.Link = carrier(func(r *http.Request) (*http.Response, error) {
			if closing {
				l.open.Store(false)
			}
			return link.RoundTrip(r)
		})
	})
	l.epoch.Store(12)
	_, err := n.Do(t.Context(), permitted(l))
	wantError(t, err, NotSent, Closed)
	l.open.Store(true)
	resp, err := n.Do(t.Context(), permitted(l))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if err := <-bodies; err != nil {
		t.Error(err)
	}
	closing = true
	_, err = n.Do(t.Context(), permitted(l))
	wantError(t, err, NotSent, Closed)
	if n.InFlight() != 0 || n.BreakerState() != "closed" {
		t.Errorf("%d in flight, breaker %s", n.InFlight(), n.BreakerState())
	}
	select {
	case err := <-bodies:
		if err == nil {
			t.Error("the body came")
		}
	default: // not even the header came
	}
}

type carrier func(*http.Request) (*http.Response, error)

func (f carrier) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestPermitAllocatesNothing(t *testing.T) {
	l := &leave{}
	l.open.Store(true)
	l.epoch.Store(1 << 40)
	r, w := permitted(l), bufio.NewWriterSize(io.Discard, writeBufferSize)
	if a := testing.AllocsPerRun(1000, func() {
		fence, ok := r.permitted()
		if !ok {
			t.Error("closed")
		}
		r.writeHead(w, "/mcp", "host", fence)
		_ = w.Flush()
	}); a != 0 {
		t.Errorf("%v allocations", a)
	}
}

// What stays unacknowledged is given up within the lease, however long the service's own bounds are.
func TestUserTimeoutIsWithinTheLease(t *testing.T) {
	url := raw(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	for _, c := range []struct{ lease, rtt, want time.Duration }{
		{0, 0, time.Second}, {600 * time.Millisecond, 0, 600 * time.Millisecond}, {time.Minute, 50 * time.Millisecond, 1100 * time.Millisecond},
		{600 * time.Millisecond, 50 * time.Millisecond, 600 * time.Millisecond}, {time.Microsecond, 0, time.Millisecond},
	} {
		n, _ := newNode(t, url, nil, func(cfg *Config) {
			cfg.UserTimeout = time.Second
			cfg.Lease = func() time.Duration { return c.lease }
			cfg.RTT = func() time.Duration { return c.rtt }
		})
		conn, err := n.connect(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		raw, err := conn.tcp.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var ms int
		if cerr := raw.Control(func(fd uintptr) { ms, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT) }); cerr != nil || err != nil {
			t.Fatal(cerr, err)
		}
		if got := time.Duration(ms) * time.Millisecond; got != c.want {
			t.Errorf("lease %s, round trip %s: %s, want %s", c.lease, c.rtt, got, c.want)
		}
	}
}

func BenchmarkDoPermitted(b *testing.B) {
	l := &leave{}
	l.open.Store(true)
	l.epoch.Store(12)
	benchDo(b, l)
}

// TestExchangeAllocations counts both ends of an exchange, as BenchmarkDo does: leave to write costs nothing here,
// and the server of the test what one more header field takes it to read.
func TestExchangeAllocations(t *testing.T) {
	l := &leave{}
	l.open.Store(true)
	l.epoch.Store(12)
	url := benchServer(t)
	for _, c := range []struct {
		permit Permit
		want   float64
	}{{nil, 45}, {l, 47}} {
		n, _ := newNode(t, url, nil, nil)
		r := post(strings.Repeat("y", 300))
		r.Permit = c.permit
		a := testing.AllocsPerRun(500, func() {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			resp, err := n.Do(ctx, r)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		})
		t.Logf("%v allocations, permit %v", a, c.permit != nil)
		if a > c.want && !raced {
			t.Errorf("%v allocations, want at most %v", a, c.want)
		}
	}
}
