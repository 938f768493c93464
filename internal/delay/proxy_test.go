package delay

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/quorate/quorate/internal/beside"
	"github.com/quorate/quorate/internal/poll"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// target runs handle for every connection to a listener of its own.
func target(t *testing.T, handle func(*net.TCPConn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	beside.Serve(t, listener, func(c net.Conn) { handle(c.(*net.TCPConn)) })
	return listener.Addr().String()
}

func echo(c *net.TCPConn) { _, _ = io.Copy(c, c); _ = c.CloseWrite() }

func proxy(t *testing.T, cfg Config) *Proxy {
	t.Helper()
	p, err := Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func dial(t *testing.T, p *Proxy) *net.TCPConn {
	t.Helper()
	c, err := net.DialTimeout("tcp", p.Address(), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c.(*net.TCPConn)
}

// ping returns the round trip of one byte, after one that pays for the connect.
func ping(t *testing.T, c net.Conn) time.Duration {
	t.Helper()
	at := time.Now()
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return time.Since(at)
}

// silent reports whether nothing can be read for a while.
func silent(c net.Conn) bool {
	_ = c.SetReadDeadline(time.Now().Add(150 * time.Millisecond))
	defer func() { _ = c.SetDeadline(time.Now().Add(20 * time.Second)) }()
	_, err := c.Read(make([]byte, 1))
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func TestRoundTrip(t *testing.T) {
	p := proxy(t, Config{Target: target(t, echo)})
	c := dial(t, p)
	ping(t, c)
	if got := ping(t, c); got > 30*time.Millisecond {
		t.Errorf("control: without a delay a round trip takes %s", got)
	}
	p.Set(40 * time.Millisecond)
	if got := ping(t, c); got < 80*time.Millisecond || got > 160*time.Millisecond {
		t.Errorf("2 × 40 ms: %s", got)
	}
	p.Set(-time.Second)
	if got := ping(t, c); got > 30*time.Millisecond || p.Delay() != 0 {
		t.Errorf("after going back: %s, delay %s", got, p.Delay())
	}
}

// A connect costs a round trip, as it does on a real link, though the kernel here answers at once.
func TestFirstBytesPayForTheConnect(t *testing.T) {
	c := dial(t, proxy(t, Config{Target: target(t, echo), Delay: 20 * time.Millisecond}))
	if got := ping(t, c); got < 80*time.Millisecond {
		t.Errorf("first answer after %s, want connect and round trip, 4 × 20 ms", got)
	}
	greeting := target(t, func(c *net.TCPConn) { _, _ = c.Write([]byte("hello")) })
	at := time.Now()
	c = dial(t, proxy(t, Config{Target: greeting, Delay: 20 * time.Millisecond}))
	if got, err := io.ReadAll(c); string(got) != "hello" || err != nil || time.Since(at) < 80*time.Millisecond {
		t.Errorf("%q, %v after %s", got, err, time.Since(at))
	}
}

// send moves n bytes through a proxy and returns the time until the target had them all.
func send(t *testing.T, cfg Config, n int) time.Duration {
	t.Helper()
	had := make(chan int64, 1)
	cfg.Target = target(t, func(c *net.TCPConn) { got, _ := io.Copy(io.Discard, c); had <- got })
	c := dial(t, proxy(t, cfg))
	at := time.Now()
	if _, err := c.Write(make([]byte, n)); err != nil {
		t.Fatal(err)
	}
	_ = c.CloseWrite()
	if got := <-had; got != int64(n) {
		t.Errorf("%d bytes of %d arrived", got, n)
	}
	return time.Since(at)
}

func TestDelayDoesNotLimitThroughput(t *testing.T) {
	const n = 24 << 20
	if got := send(t, Config{Delay: 50 * time.Millisecond}, n); got > 2500*time.Millisecond {
		t.Errorf("%d MiB over 50 ms: %s", n>>20, got)
	}
	// The control: with a fixed small window the delay is the limit: about one window per delay.
	if got := send(t, Config{Delay: 50 * time.Millisecond, Window: 64 << 10}, 20*64<<10); got < 700*time.Millisecond {
		t.Errorf("control: 20 windows of 64 KiB over 50 ms: %s", got)
	}
}

func TestBackPressure(t *testing.T) {
	release := make(chan struct{})
	p := proxy(t, Config{Delay: time.Millisecond, Target: target(t, func(*net.TCPConn) { <-release })})
	defer close(release)
	c := dial(t, p)
	_ = c.SetWriteDeadline(time.Now().Add(time.Second))
	n, err := c.Write(make([]byte, 256<<20))
	if err == nil || n > 64<<20 {
		t.Errorf("a target that reads nothing let %d bytes in: %v", n, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		if held := c.there.held(); held == 0 || held > minWindow+maxChunk {
			t.Errorf("%d bytes are held, want at most a window", held)
		}
	}
}

func TestContentsSurviveJitterCutsAndChanges(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	p := proxy(t, Config{Target: target(t, echo), Delay: 2 * time.Millisecond, Jitter: 5 * time.Millisecond, Seed: seed})
	rnd := rand.New(rand.NewPCG(seed, 0))
	c := dial(t, p)
	sent := make([]byte, 3<<20)
	for i := range sent {
		sent[i] = byte(rnd.Uint32())
	}
	go func() {
		for rest := sent; len(rest) > 0; {
			n := min(1+rnd.IntN(100_000), len(rest))
			_, _ = c.Write(rest[:n])
			switch rest = rest[n:]; rnd.IntN(6) {
			case 0:
				p.Set(time.Duration(rnd.IntN(10)) * time.Millisecond)
			case 1:
				p.Cut()
				_ = p.Heal()
			}
		}
		_ = c.CloseWrite()
	}()
	got, err := io.ReadAll(c)
	if err != nil || sha256.Sum256(got) != sha256.Sum256(sent) {
		t.Errorf("%d bytes came back of %d, equal %v, %v", len(got), len(sent), bytes.Equal(got, sent), err)
	}
}

func TestCutHoldsEverythingUntilHeal(t *testing.T) {
	p := proxy(t, Config{Target: target(t, echo), Delay: 10 * time.Millisecond})
	old := dial(t, p)
	ping(t, old)
	p.Cut()
	fresh := dial(t, p)
	for _, c := range []net.Conn{old, fresh} {
		if _, err := c.Write([]byte("a")); err != nil {
			t.Errorf("a black hole does not refuse: %v", err)
		}
		if !silent(c) {
			t.Error("a byte, an end or a reset passed a cut link")
		}
	}
	if err := p.Heal(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]net.Conn{"old": old, "fresh": fresh} {
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Errorf("%s: what was held up never came: %v", name, err)
		}
		ping(t, c)
	}
}

// A byte that is under way when the link is cut does not arrive, and neither does a reset.
func TestCutCatchesWhatIsUnderWay(t *testing.T) {
	arrived := make(chan struct{})
	p := proxy(t, Config{Delay: 100 * time.Millisecond, Target: target(t, func(c *net.TCPConn) {
		_, _ = c.Read(make([]byte, 1))
		close(arrived)
	})})
	c := dial(t, p)
	_, _ = c.Write([]byte("x"))
	p.Cut()
	if !silent(c) { // for longer than the delay
		t.Error("something came back")
	}
	select {
	case <-arrived:
		t.Error("the byte arrived")
	default:
	}
	if err := p.Heal(); err != nil {
		t.Fatal(err)
	}
	<-arrived
}

// A client that gives up during a cut leaves nothing behind: on a real link its connect never arrives.
func TestNothingOfAClientThatGaveUpDuringACut(t *testing.T) {
	connects := make(chan struct{}, 10)
	p := proxy(t, Config{Target: target(t, func(*net.TCPConn) { connects <- struct{}{} }), Connections: 1})
	p.Cut()
	for range 5 { // more than there are places
		c := dial(t, p)
		_, _ = c.Write([]byte("x"))
		c.Close()
	}
	waitFor(t, "the places", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.count == 5 && len(p.conns) == 0
	})
	if err := p.Heal(); err != nil {
		t.Fatal(err)
	}
	c := dial(t, p)
	_, _ = c.Read(make([]byte, 1))
	if len(connects) != 1 {
		t.Errorf("the target saw %d connects, want the last one", len(connects))
	}
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	poll.True(t, 5*time.Millisecond, 10*time.Second, what, ok)
}

func TestResetBreaksAndRefuses(t *testing.T) {
	broke := make(chan error, 1)
	p := proxy(t, Config{Target: target(t, func(c *net.TCPConn) {
		_, err := io.Copy(c, c)
		broke <- err
	}), Delay: time.Millisecond})
	c := dial(t, p)
	ping(t, c)
	p.Reset()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("client: %v, want a reset", err)
	}
	if err := <-broke; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("target: %v, want a reset", err)
	}
	p.Cut() // changes nothing
	for range 3 {
		if c, err := net.DialTimeout("tcp", p.Address(), time.Second); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("connect: %v %v, want refused", c, err)
		}
	}
	if err := errors.Join(p.Heal(), p.Heal()); err != nil {
		t.Fatal(err)
	}
	ping(t, dial(t, p))
}

func TestEndsAndFailuresTravel(t *testing.T) {
	const d = 30 * time.Millisecond
	whole := target(t, func(c *net.TCPConn) {
		got, _ := io.ReadAll(c)
		_, _ = c.Write(got)
	})
	c := dial(t, proxy(t, Config{Target: whole, Delay: d}))
	_, _ = c.Write([]byte("question"))
	_ = c.CloseWrite()
	if got, err := io.ReadAll(c); string(got) != "question" || err != nil {
		t.Errorf("half closed: %q %v", got, err)
	}
	reset := target(t, func(c *net.TCPConn) { _, _ = c.Read(make([]byte, 1)); closeHard(c) })
	c = dial(t, proxy(t, Config{Target: reset, Delay: d}))
	at := time.Now()
	_, _ = c.Write([]byte("x"))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) || time.Since(at) < 3*d {
		t.Errorf("a reset by the target: %v after %s", err, time.Since(at))
	}
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody.Close()
	at = time.Now()
	c = dial(t, proxy(t, Config{Target: nobody.Addr().String(), Delay: d}))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) || time.Since(at) < 2*d {
		t.Errorf("a target that refuses: %v after %s", err, time.Since(at))
	}
}

func TestClientsResetReachesTheTarget(t *testing.T) {
	broke := make(chan error, 1)
	p := proxy(t, Config{Delay: 10 * time.Millisecond, Target: target(t, func(c *net.TCPConn) {
		_, err := io.Copy(io.Discard, c)
		broke <- err
	})})
	c := dial(t, p)
	_, _ = c.Write([]byte("x"))
	waitFor(t, "the connection", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return len(p.conns) == 1 })
	closeHard(c)
	if err := <-broke; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("target: %v", err)
	}
	waitFor(t, "the end", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return len(p.conns) == 0 })
}

func TestJitterIsTheSeeds(t *testing.T) {
	at := time.Unix(0, 0)
	dues := func(seed uint64) (all []time.Time) {
		p := newPipe(seed, 2)
		for i := range 200 {
			p.push(chunk{due: at.Add(time.Duration(i) * time.Millisecond), data: []byte("x")}, 10*time.Millisecond, 1<<20, nil)
		}
		for i, c := range p.queue {
			if i > 0 && c.due.Before(all[i-1]) {
				t.Errorf("chunk %d overtakes", i)
			}
			if late := c.due.Sub(at.Add(time.Duration(i) * time.Millisecond)); late < 0 || late > 10*time.Millisecond {
				t.Errorf("chunk %d is %s late", i, late)
			}
			all = append(all, c.due)
		}
		return all
	}
	one, again, other := dues(7), dues(7), dues(8)
	differ := 0
	for i := range one {
		if !one[i].Equal(again[i]) {
			t.Errorf("chunk %d differs under one seed", i)
		}
		if !one[i].Equal(other[i]) {
			differ++
		}
	}
	if differ == 0 {
		t.Error("another seed gives the same jitter")
	}
}

func TestBadConfigs(t *testing.T) {
	for want, cfg := range map[string]Config{
		"a target":    {},
		"delay -1s":   {Target: "x:1", Delay: -time.Second},
		"jitter 11s":  {Target: "x:1", Jitter: 11 * time.Second},
		"connections": {Target: "x:1", Connections: 5000},
		"window":      {Target: "x:1", Window: 12},
		"listen":      {Target: "x:1", Listen: "nonsense"},
	} {
		if p, err := Start(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v %v, want an error with %q", cfg, p, err, want)
		}
	}
}

func TestClosedIsForEver(t *testing.T) {
	p := proxy(t, Config{Target: target(t, echo)})
	c := dial(t, p)
	ping(t, c)
	p.Close()
	p.Close()
	p.Reset()
	p.Set(time.Second)
	p.Cut()
	if err := p.Heal(); err != nil {
		t.Error(err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("client: %v", err)
	}
	if _, err := net.DialTimeout("tcp", p.Address(), time.Second); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("connect: %v", err)
	}
}
