package upstream

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// gate returns a channel and what closes it, once.
func gate() (<-chan struct{}, func()) {
	c := make(chan struct{})
	return c, sync.OnceFunc(func() { close(c) })
}

// A dead node is still tried when there is no other. A process that is stopped accepts connections,
// so its calls must end by a probe of their own: the death that ended the first ones is in the past.
func TestCallOnANodeThatIsDeadAlreadyEnds(t *testing.T) {
	n, s := newNode(t, raw(t, func(c net.Conn) { io.Copy(io.Discard, c) }), func(context.Context) error { return errSilent }, nil)
	for range 3 {
		ctx := within(t, 5*time.Second)
		_, err := n.Do(ctx, post(`{}`))
		wantError(t, err, Sent, Dead)
		if ctx.Err() != nil {
			t.Fatal("only the agent's patience ended the call")
		}
	}
	if s.deaths() != 1 || n.InFlight() != 0 {
		t.Errorf("%d deaths, %d in flight, want 1 and 0", s.deaths(), n.InFlight())
	}
}

// The same node may be back without having been verified yet: then the call is slow, and not cut.
func TestSlowCallOnADeadNodeThatIsBackIsNotCut(t *testing.T) {
	var probes atomic.Int32
	release, open := gate()
	n, _ := newNode(t, raw(t, func(c net.Conn) {
		if readRequest(c) {
			<-release
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	}), func(context.Context) error {
		if probes.Add(1) == 3 {
			open()
		}
		return nil
	}, func(c *Config) { c.Suspect = 5 * time.Millisecond })
	n.die("test", errSilent)
	t.Cleanup(open)
	resp, err := n.Do(within(t, 5*time.Second), post(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "ok" {
		t.Errorf("body %q, error %v", b, err)
	}
}

// A probe begun before a death says nothing of the node that came back after it.
func TestProbeOfAnEarlierLifeKillsNobody(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan struct{})
	n, s := newNode(t, "http://127.0.0.1:1/mcp", func(context.Context) error {
		close(asked)
		<-answer
		return errSilent
	}, nil)
	ended := make(chan struct{})
	go func() { n.Alive(); close(ended) }()
	<-asked
	n.die("test", errSilent)
	if !n.Revive(time.Now().Add(time.Second)) {
		t.Fatal("not revived")
	}
	close(answer)
	<-ended
	if n.Dead() || s.deaths() != 1 {
		t.Errorf("dead %v after %d deaths", n.Dead(), s.deaths())
	}
}

// A gateway that has no descriptor left for a probe has learnt nothing of the node. If it took that for a
// death, a flood of agents would cut every call there is.
func TestOwnShortageIsNoDeath(t *testing.T) {
	var probes atomic.Int32
	release, open := gate()
	n, s := newNode(t, raw(t, func(c net.Conn) {
		if readRequest(c) {
			<-release
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	}), func(context.Context) error {
		if probes.Add(1) == 2 {
			open()
		}
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("socket", syscall.EMFILE)}
	}, func(c *Config) { c.Suspect = 5 * time.Millisecond })
	t.Cleanup(open)
	resp, err := n.Do(within(t, 5*time.Second), post(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "ok" || s.deaths() != 0 {
		t.Errorf("body %q, error %v, %d deaths", b, err, s.deaths())
	}
}

// A node that takes its time to read a large body keeps the kernel's window shut, which TCP_USER_TIMEOUT
// counts as bytes that nobody acknowledges.
func TestSlowReaderOfALargeBodyIsNotDead(t *testing.T) {
	var probes atomic.Int32
	release, open := gate()
	n, s := newNode(t, raw(t, func(c net.Conn) {
		<-release
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err == nil {
			_, err = io.Copy(io.Discard, r.Body)
		}
		if err == nil {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	}), func(context.Context) error {
		if probes.Add(1) == 7 { // 20 ms doubled six times: well over a second
			open()
		}
		return nil
	}, func(c *Config) { c.Suspect, c.UserTimeout = 20*time.Millisecond, 100*time.Millisecond })
	t.Cleanup(open)
	resp, err := n.Do(within(t, 20*time.Second), post(strings.Repeat("x", 16<<20)))
	if err != nil {
		t.Fatalf("%v; %d deaths", err, s.deaths())
	}
	if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "ok" || s.deaths() != 0 {
		t.Errorf("body %q, error %v, %d deaths", b, err, s.deaths())
	}
}
