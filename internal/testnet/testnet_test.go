package testnet

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/quorate/quorate/internal/beside"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func network(t *testing.T) *Net {
	t.Helper()
	if err := Available(); err != nil {
		if os.Getenv("CI") != "" && os.Geteuid() == 0 {
			t.Fatalf("CI runs as root and has no network namespaces: %v", err)
		}
		t.Skipf("SKIPPED, no test network: %v", err)
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	n := New(seed)
	t.Cleanup(n.Close)
	return n
}

func hosts(t *testing.T, n *Net, names ...string) (all []*Host) {
	t.Helper()
	for _, name := range names {
		h, err := n.Host(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, h)
	}
	return all
}

// echo serves on h:9 until the test ends.
func echo(t *testing.T, h *Host) string {
	t.Helper()
	l, err := h.Listen("tcp", net.JoinHostPort(h.Addr().String(), "9"))
	if err != nil {
		t.Fatal(err)
	}
	beside.Serve(t, l, func(c net.Conn) {
		defer context.AfterFunc(t.Context(), func() { _ = c.Close() })()
		_, _ = io.Copy(c, c)
	})
	return l.Addr().String()
}

func roundTrip(t *testing.T, c net.Conn) time.Duration {
	t.Helper()
	began := time.Now()
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return time.Since(began)
}

func TestDelay(t *testing.T) {
	n := network(t)
	h := hosts(t, n, "a", "b", "c")
	at := echo(t, h[1])
	for _, delay := range []time.Duration{0, 20 * time.Millisecond} {
		n.Set(h[0], h[1], Condition{Delay: delay})
		c, err := h[0].DialContext(t.Context(), "tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		var all []time.Duration
		for range 21 {
			all = append(all, roundTrip(t, c))
		}
		_ = c.Close()
		slices.Sort(all)
		t.Logf("delay %s each way: round trip p50 %s", delay, all[10])
		if all[10] < 2*delay || all[10] > 2*delay+15*time.Millisecond {
			t.Errorf("delay %s each way made %s", delay, all[10])
		}
	}
	c, err := h[2].DialContext(t.Context(), "tcp", at) // another pair of hosts has no delay
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if d := roundTrip(t, c); d > 15*time.Millisecond {
		t.Errorf("c to b took %s", d)
	}
}

func TestCutAndHeal(t *testing.T) {
	n := network(t)
	h := hosts(t, n, "a", "b")
	at := echo(t, h[1])
	c, err := h[0].DialContext(t.Context(), "tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	roundTrip(t, c)
	n.Change(h[0], h[1], func(c *Condition) { c.Cut = true })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := h[0].DialContext(ctx, "tcp", at); err == nil || !errors.Is(err, context.DeadlineExceeded) && !os.IsTimeout(err) {
		t.Errorf("connect over a cut line: %v", err)
	}
	healed := time.AfterFunc(300*time.Millisecond, func() { n.Change(h[0], h[1], func(c *Condition) { c.Cut = false }) })
	defer healed.Stop()
	if d := roundTrip(t, c); d < 250*time.Millisecond {
		t.Errorf("an answer came over a cut line after %s", d)
	} else {
		t.Logf("TCP recovered %s after the cut, %s after it healed", d, d-300*time.Millisecond)
	}
}

func TestRejectResets(t *testing.T) {
	n := network(t)
	h := hosts(t, n, "a", "b")
	at := echo(t, h[1])
	c, err := h[0].DialContext(t.Context(), "tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	roundTrip(t, c)
	n.Isolate(h[1], func(c *Condition) { c.Reject = true })
	if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("an existing connection that says nothing: %v", err)
	}
	if _, err := h[0].DialContext(t.Context(), "tcp", at); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a new connection: %v", err)
	}
}

func TestHostsAreApart(t *testing.T) {
	n := network(t)
	h := hosts(t, n, "a", "b")
	l, err := h[0].Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if c, err := h[1].DialContext(t.Context(), "tcp", l.Addr().String()); err == nil {
		_ = c.Close()
		t.Error("b reached a's loopback")
	}
	if c, err := net.Dial("tcp", l.Addr().String()); err == nil {
		_ = c.Close()
		t.Error("this process's namespace reached a's loopback")
	}
}

func TestLossIsSeeded(t *testing.T) {
	n := network(t)
	h := hosts(t, n, "a", "b")
	at := echo(t, h[1])
	n.SetWay(h[0], h[1], Condition{Loss: 1})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if c, err := h[0].DialContext(ctx, "tcp", at); err == nil {
		_ = c.Close()
		t.Error("connected although everything is lost")
	}
}
