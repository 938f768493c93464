package peer

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/ca"
)

type tls13 = tls.Conn

func sentOf(ping []byte) time.Duration { return time.Duration(binary.BigEndian.Uint64(ping[8:])) }

// signals are those that a gateway got, by sender.
type signals struct {
	mu  sync.Mutex
	got map[Identity][][]byte // as they were handed over: they are the callee's
}

func (s *signals) take(from Identity, payload []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.got == nil {
		s.got = make(map[Identity][][]byte)
	}
	s.got[from] = append(s.got[from], payload)
}

func (s *signals) of(from Identity) [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got[from]
}

// Signals pass reports that fill the link, in both directions of one link, whole and in order.
func TestSignalsPassReports(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	var at [2]signals
	big := bytes.Repeat([]byte("r"), MaxReport)
	report := func(c *Config) { c.Interval, c.Report = 10*ms, func() []byte { return big } }
	a := start(t, f.credentials(t, f.issue(t, "east", "a", ca.Options{})), "", func(c *Config) { report(c); c.Signal = at[0].take })
	b := start(t, f.credentials(t, f.issue(t, "east", "b", ca.Options{})), "", func(c *Config) { report(c); c.Signal = at[1].take })
	a.dial(t, Remote{Address: b.address})
	await(t, "up at both", func() bool { la, _ := a.Find("b"); lb, _ := b.Find("a"); return la.Up && lb.Up })
	const n = 300
	payload := make([]byte, 0, MaxSignal)
	for i := range n {
		for g, to := range map[*gateway]string{a: "b", b: "a"} {
			payload = fmt.Appendf(payload[:0], "%d%*s", i, i*20, "")
			await(t, "there is room", func() bool { return g.Signal(to, payload) })
			clear(payload) // nothing of it is kept
		}
	}
	for i, from := range []Identity{{"east", "b"}, {"east", "a"}} {
		await(t, "all arrive", func() bool { return len(at[i].of(from)) == n })
		for k, got := range at[i].of(from) {
			if want := fmt.Sprintf("%d%*s", k, k*20, ""); string(got) != want {
				t.Fatalf("signal %d is %.20q of %d bytes", k, got, len(got))
			}
		}
	}
	await(t, "reports arrive too", func() bool {
		return len(b.report(Identity{"east", "a"})) == MaxReport && len(a.report(Identity{"east", "b"})) == MaxReport
	})
	if !a.Signal("b", make([]byte, MaxSignal)) || a.Signal("b", make([]byte, MaxSignal+1)) || a.Signal("nobody", nil) {
		t.Error("bounds")
	}
}

// Whoever does not read gets no more than the queue holds, and nobody waits for it. What was taken arrives.
func TestSignalToAStalledReader(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	cert := f.pair(t, "south", "c", ca.Options{})
	read, counted := make(chan int), make(chan int, 1)
	address := rawServer(t, rawTLS(&cert, protocolLink), func(c *tls.Conn) {
		_, _ = c.Write(rawHello(t, "south", "c", nil))
		n := 0
		for want := <-read; n < want; n++ {
			if payload, err := until(c, frameSignal); err != nil || len(payload) != MaxSignal {
				t.Errorf("signal %d of %d: %d bytes, %v", n, want, len(payload), err)
				break
			}
		}
		counted <- n
	})
	a := start(t, f.credentials(t, f.issue(t, "east", "a", ca.Options{})), "", func(c *Config) { c.Floor = time.Minute })
	a.dial(t, Remote{Region: "south", Address: address})
	await(t, "up", a.up("south"))
	taken, payload := 0, make([]byte, MaxSignal)
	queued := func() int {
		box := a.directory.best("c", false).box
		box.mu.Lock()
		defer box.mu.Unlock()
		return len(box.signals)
	}
	await(t, "nothing moves any more", func() bool {
		for a.Signal("c", payload) {
			taken++
		}
		before := taken
		<-time.After(20 * ms) // what the kernel still takes
		return queued() == maxSignals && taken == before && !a.Signal("c", payload)
	})
	began := time.Now()
	for range 10_000 {
		if a.Signal("c", payload) {
			taken++
		}
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("10,000 took %s", took)
	}
	if err := a.Alive(t.Context(), "nowhere", ""); err == nil {
		t.Error("alive")
	}
	read <- taken
	if n := <-counted; n != taken || taken < maxSignals {
		t.Errorf("%d of %d arrived", n, taken)
	}
}

// What is urgent leaves first.
func TestOutboxOrder(t *testing.T) {
	o := newOutbox()
	o.offer([]byte("report"))
	for i := range maxSignals + 1 {
		if ok := o.signal([]byte{frameSignal, byte(i)}); ok != (i < maxSignals) {
			t.Errorf("signal %d: %v", i, ok)
		}
	}
	o.pingNow()
	o.pong([]byte{framePong})
	order := []byte{framePong, framePing}
	order = append(order, bytes.Repeat([]byte{frameSignal}, maxSignals)...)
	for i, want := range append(order, frameReport) {
		frame, last := o.next(func() []byte { return []byte{framePing} })
		if frame == nil || frame[0] != want || last || want == frameSignal && frame[1] != byte(i-2) {
			t.Errorf("frame %d: %v, want type %d", i, frame, want)
		}
	}
	if frame, _ := o.next(nil); frame != nil {
		t.Errorf("left: %v", frame)
	}
	o.signal([]byte{frameSignal})
	o.goodbye([]byte{frameGoodbye})
	if frame, last := o.next(nil); frame[0] != frameGoodbye || !last || o.signal(nil) {
		t.Error("after the goodbye")
	}
}
