package peer

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/ca"
)

func (g *gateway) stream(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := g.Stream(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func accept(t *testing.T, l net.Listener) *Stream {
	t.Helper()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.(*Stream)
}

// streaming returns two gateways of one region and a stream from the first to the second.
func streaming(t *testing.T, f fleet) (a, b *gateway, l net.Listener, out net.Conn, in *Stream) {
	t.Helper()
	a = start(t, f.credentials(t, f.issue(t, "east", "a", ca.Options{})), "", nil)
	b = start(t, f.credentials(t, f.issue(t, "east", "b", ca.Options{})), "", func(c *Config) { c.Advertise = "b.example:9100" })
	l = b.Streams()
	out = a.stream(t, b.address)
	return a, b, l, out, accept(t, l)
}

// ended waits until the owner of a stream notices its end.
func ended(t *testing.T, c net.Conn) error {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second)) // fails on one that has ended, as the read will
	_, err := c.Read(make([]byte, 1))
	return err
}

// A log's transport writes small pieces, keeps several requests on their way and gives every one a deadline.
func TestStream(t *testing.T) {
	t.Parallel()
	_, b, l, out, in := streaming(t, newFleet(t))
	if l.Addr().String() != "b.example:9100" || in.Identity() != (Identity{"east", "a"}) || out.(*Stream).Identity() != (Identity{"east", "b"}) {
		t.Error(l.Addr(), in.Identity())
	}
	const n = 2000
	served := make(chan error, 1)
	go func() { served <- serveSums(in, n) }()
	sent := make(chan error, 1)
	go func() { sent <- sendNumbers(out, n) }()
	r := bufio.NewReader(out)
	for i := range uint64(n) {
		var got uint64
		if err := errors.Join(out.SetReadDeadline(time.Now().Add(5*time.Second)), binary.Read(r, binary.BigEndian, &got)); err != nil || got != i*(i+1)/2 {
			t.Fatalf("sum %d: %d, %v", i, got, err)
		}
	}
	if err := errors.Join(<-sent, <-served); err != nil {
		t.Error(err)
	}
	if err := out.SetReadDeadline(time.Now().Add(ms)); err != nil {
		t.Error(err)
	}
	if _, err := out.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("nothing to read: %v", err)
	}
	if err := out.Close(); err != nil {
		t.Error(err)
	}
	if err := ended(t, in); !errors.Is(err, io.EOF) {
		t.Errorf("after the other side's close: %v", err)
	}
	if err := errors.Join(in.Close(), l.Close()); err != nil {
		t.Error(err)
	}
	if len(b.streams.all()) > 0 {
		t.Error("streams are left")
	}
}

func sendNumbers(c net.Conn, n uint64) error {
	for i := range n {
		if err := errors.Join(c.SetWriteDeadline(time.Now().Add(5*time.Second)), binary.Write(c, binary.BigEndian, i)); err != nil {
			return err
		}
	}
	return nil
}

func serveSums(c net.Conn, n uint64) error {
	r, sum := bufio.NewReader(c), uint64(0)
	for range n {
		var x uint64
		if err := binary.Read(r, binary.BigEndian, &x); err != nil {
			return err
		}
		sum += x
		if err := binary.Write(c, binary.BigEndian, sum); err != nil {
			return err
		}
	}
	return nil
}

func TestStreamRefused(t *testing.T) {
	t.Parallel()
	f, other := newFleet(t), newFleet(t)
	a := startMember(t, f, "east", "a", "x/1")
	b := startMember(t, f, "west", "b", "")
	foreign := start(t, other.credentials(t, other.issue(t, "west", "f", ca.Options{})), "", nil)
	dial := func(address string) error {
		c, err := a.Stream(t.Context(), address)
		if err == nil {
			_ = c.Close()
		}
		return err
	}
	if err := dial(b.address); err == nil || !strings.Contains(err.Error(), "no application protocol") {
		t.Errorf("nobody accepts: %v", err)
	}
	lb := b.Streams()
	if err := dial(b.address); err != nil {
		t.Errorf("of no cluster: %v", err)
	}
	b.cluster.Store("y/1")
	if err := dial(b.address); !errors.Is(err, ErrCluster) || !strings.Contains(err.Error(), "b is of cluster y/1, a of x/1") {
		t.Errorf("another cluster: %v", err)
	}
	la := a.Streams()
	if _, err := b.Stream(t.Context(), a.address); !errors.Is(err, ErrCluster) {
		t.Errorf("the other way: %v", err)
	}
	if err := dial(a.address); !errors.Is(err, ErrSelf) {
		t.Errorf("itself: %v", err)
	}
	if err := dial(foreign.address); err == nil {
		t.Error("another fleet")
	}
	if err := errors.Join(lb.Close(), la.Close(), lb.Close()); err != nil {
		t.Error(err)
	}
	if _, err := lb.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	b.cluster.Store("x/1")
	if err := dial(b.address); err == nil {
		t.Error("nobody accepts any more")
	}
	b.stop()
	if _, err := b.Streams().Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("of closed peers: %v", err)
	}
	if _, err := b.Stream(t.Context(), a.address); err == nil {
		t.Error("closed peers dial")
	}
}

// A stream ends with what it stood on, soon, and says why; others go on.
func TestStreamEnds(t *testing.T) {
	t.Parallel()
	t.Run("certificate", func(t *testing.T) {
		t.Parallel()
		f := newFleet(t)
		a, b, l, _, in := streaming(t, f)
		short := f.issue(t, "west", "s", ca.Options{Life: time.Minute, Now: func() time.Time { return time.Now().Add(2*time.Second - time.Minute) }})
		s := start(t, f.credentials(t, short), "", nil)
		out := s.stream(t, b.address)
		late := accept(t, l)
		if err := ended(t, late); !errors.Is(err, errExpired) {
			t.Error(err)
		}
		if past := time.Since(short.Expires); past > 2*time.Second {
			t.Errorf("%s late", past)
		}
		if err := ended(t, out); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the other side: %v", err)
		}
		if _, err := in.Write([]byte("x")); err != nil || len(b.streams.all()) != 1 || len(a.streams.all()) != 1 {
			t.Errorf("the good stream: %v", err)
		}
	})
	t.Run("regreet", func(t *testing.T) {
		t.Parallel()
		_, b, _, out, in := streaming(t, newFleet(t))
		b.Regreet()
		if err := ended(t, in); !errors.Is(err, errRegreet) {
			t.Error(err)
		}
		if err := ended(t, out); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the other side: %v", err)
		}
		if _, err := in.Write([]byte("x")); !errors.Is(err, errRegreet) {
			t.Error(err)
		}
	})
	t.Run("close", func(t *testing.T) {
		t.Parallel()
		a, b, l, out, in := streaming(t, newFleet(t))
		a.stop()
		if err := ended(t, out); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
		if err := ended(t, in); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the other side: %v", err)
		}
		b.stop()
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
}

// A stalled reader keeps nobody from closing.
func TestStreamCloseDoesNotWait(t *testing.T) {
	t.Parallel()
	_, _, _, out, _ := streaming(t, newFleet(t))
	raw := out.(*Stream).meeting.conn.NetConn()        // below TLS, which would remember that a write failed and say no last words
	for _, size := range []int{64 << 10, 1 << 10, 1} { // to the last byte
		err := raw.SetWriteDeadline(time.Now().Add(200 * ms))
		for err == nil {
			_, err = raw.Write(make([]byte, size))
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
	}
	if err := raw.SetWriteDeadline(time.Time{}); err != nil {
		t.Error(err)
	}
	began := time.Now()
	_ = out.Close() // the last words may not have left
	if took := time.Since(began); took > 2*farewell {
		t.Errorf("%s", took)
	}
}

// Streams that nobody accepts are bounded, and end with the listener.
func TestStreamBacklog(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	a := start(t, f.credentials(t, f.issue(t, "east", "a", ca.Options{})), "", nil)
	b := start(t, f.credentials(t, f.issue(t, "east", "b", ca.Options{})), "", nil)
	l := b.Streams()
	var all []net.Conn
	for range maxPending {
		all = append(all, a.stream(t, b.address))
	}
	await(t, "all wait", func() bool { return len(l.(*streamListener).pending) == maxPending })
	if err := ended(t, a.stream(t, b.address)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("one too many: %v", err)
	}
	await(t, "counted", func() bool { return b.Refused() == 1 })
	next := b.Streams()
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a listener that was replaced: %v", err)
	}
	for _, c := range all {
		if err := ended(t, c); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("nobody accepted it: %v", err)
		}
	}
	a.stream(t, b.address)
	accept(t, next)
	set := func(change func()) {
		b.streams.mu.Lock()
		defer b.streams.mu.Unlock()
		change()
	}
	fill := make([]*Stream, maxOpen)
	set(func() {
		for i := range fill {
			fill[i] = new(Stream)
			b.streams.open[fill[i]] = struct{}{}
		}
	})
	if _, err := a.Stream(t.Context(), b.address); err == nil || !strings.Contains(err.Error(), errFull.Error()) {
		t.Errorf("too many: %v", err)
	}
	set(func() {
		for _, s := range fill {
			delete(b.streams.open, s)
		}
	})
}

// Bad first words, from either side, end only their own connection.
func TestStreamHostile(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	a, b, _, out, in := streaming(t, f)
	cert := f.pair(t, "south", "c", ca.Options{})
	for name, words := range map[string][]byte{
		"nothing": nil, "garbage": []byte("GET / HTTP/1.1\r\n\r\n"), "log at once": make([]byte, 100),
		"another's hello": rawHello(t, "east", "a", nil), "huge": appendFrame(nil, frameHello, make([]byte, maxHello+1)),
		"signal": appendFrame(nil, frameSignal, nil), "bad cluster": rawHello(t, "south", "c", func(h *hello) { h.Cluster = "\x00" }),
	} {
		before := b.Refused()
		c, err := rawDial(t, b.address, rawTLS(&cert, protocolStream))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(words); err != nil {
			t.Error(err)
		}
		_ = c.CloseWrite()
		if _, err := until(c, frameWelcome); err == nil {
			t.Errorf("%s: welcome", name)
		}
		_ = c.NetConn().Close()
		await(t, name+" is counted", func() bool { return b.Refused() == before+1 })
	}
	for name, answer := range map[string]struct {
		words []byte
		cause string
	}{
		"refuses": {appendFrame(nil, frameGoodbye, []byte(`{"reason":"full","text":"too many streams"}`)), "too many streams"},
		"talks":   {appendFrame(nil, frameReport, nil), "type 4 instead of a welcome"},
		"breaks":  {nil, errEnded.Error()},
		"huge":    {[]byte{frameWelcome, 255, 255, 255, 255}, ErrFrame.Error()},
	} {
		address := rawServer(t, rawTLS(&cert, protocolStream), func(c *tls.Conn) {
			_, _ = c.Write(append(rawHello(t, "south", "c", nil), answer.words...))
			_, _ = readHello(c)
		})
		if _, err := a.Stream(t.Context(), address); err == nil || !strings.Contains(err.Error(), answer.cause) {
			t.Errorf("%s: %v", name, err)
		}
	}
	mute := plainServer(t, "")
	ctx, cancel := context.WithTimeout(t.Context(), 100*ms)
	defer cancel()
	if _, err := a.Stream(ctx, mute); !errors.Is(err, context.DeadlineExceeded) {
		t.Error("mute:", err)
	}
	_, err := fmt.Fprint(out, "still here")
	got := make([]byte, 10)
	if _, rerr := io.ReadFull(in, got); err != nil || rerr != nil || string(got) != "still here" {
		t.Error(err, rerr, got)
	}
}
