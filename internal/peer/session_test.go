package peer

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/ca"
)

// rawLink dials a gateway's link and has said hello.
func rawLink(t *testing.T, b *gateway, cert tls.Certificate, region, name string) *tls.Conn {
	t.Helper()
	c, err := rawDial(t, b.address, rawTLS(&cert, protocolLink))
	if err == nil {
		_, err = c.Write(rawHello(t, region, name, nil))
	}
	if err == nil {
		_, err = until(c, frameHello)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestBadFramesEndOnlyTheirLink(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	a, b := pairOf(t, f, nil)
	cert := f.pair(t, "south", "c", ca.Options{})
	since := a.link("west", false).Since
	ping := beat{seq: 42, sent: 43, heard: never}.frame(framePing)
	for _, tc := range []struct {
		name  string
		bytes []byte
		bye   string // of the gateway; "" for a link that goes on
	}{
		{"too long", []byte{frameReport, 0, 1, 0, 1}, byeProtocol},
		{"far too long", []byte{99, 255, 255, 255, 255}, byeProtocol},
		{"short ping", appendFrame(nil, framePing, make([]byte, beatSize-1)), byeProtocol},
		{"empty pong", appendFrame(nil, framePong, nil), byeProtocol},
		{"goodbye that is none", appendFrame(nil, frameGoodbye, []byte("farewell")), byeProtocol},
		{"flood", bytes.Repeat(appendFrame(nil, 99, nil), 2*maxFrames+2), byeProtocol},
		{"after a good one", append(bytes.Clone(ping), frameReport, 255, 0, 0, 0), byeProtocol},
		{"unknown kinds", append(appendFrame(nil, 0, nil), appendFrame(nil, 255, []byte("news"))...), ""},
		{"largest unknown", appendFrame(nil, 99, make([]byte, MaxReport)), ""},
		{"hello again", rawHello(t, "south", "c", nil), ""},
		{"longer ping", appendFrame(nil, framePing, make([]byte, beatSize+100)), ""},
		{"pong to no ping", beat{seq: 1 << 60}.frame(framePong), ""},
		{"empty report", appendFrame(nil, frameReport, nil), ""},
		{"large signal", appendFrame(nil, frameSignal, make([]byte, MaxSignal+1)), byeProtocol},
		{"signals that nobody wants", bytes.Repeat(appendFrame(nil, frameSignal, make([]byte, MaxSignal)), 100), ""},
		{"welcome", appendFrame(nil, frameWelcome, nil), ""},
		{"nothing", nil, ""},
	} {
		c := rawLink(t, b, cert, "south", "c")
		_, _ = c.Write(tc.bytes) // the link may end in the middle of it
		if tc.bye != "" {
			if g, err := farewellOf(c); err != nil || g.Reason != tc.bye || !strings.Contains(g.Text, ErrFrame.Error()) {
				t.Errorf("%s: %+v, %v", tc.name, g, err)
			}
		} else {
			_, err := c.Write(ping)
			for got := (beat{}); err == nil && got.seq != 42; {
				var payload []byte
				if payload, err = until(c, framePong); err == nil {
					got, err = parseBeat(payload)
				}
			}
			if err != nil {
				t.Errorf("%s: no pong: %v", tc.name, err)
			}
			// A frame that breaks off ends the link too.
			_, _ = c.Write(ping[:len(ping)-1])
		}
		_ = c.NetConn().Close()
		await(t, tc.name+": the link ends", func() bool { return !b.link("south", true).Up })
		if l := a.link("west", false); !l.Up || !l.Since.Equal(since) {
			t.Errorf("%s: %+v", tc.name, l)
		}
	}
	if got := b.report(Identity{"south", "c"}); got != "" {
		t.Errorf("a report %q", got)
	}
}

func TestTooManyLinks(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	b := start(t, f.credentials(t, f.issue(t, "west", "b", ca.Options{})), "", nil)
	set := func(change func()) {
		b.Peers.mu.Lock()
		defer b.Peers.mu.Unlock()
		change()
	}
	set(func() {
		for range maxLinks {
			b.inbound[new(session)] = struct{}{}
		}
	})
	c := rawLink(t, b, f.pair(t, "south", "c", ca.Options{}), "south", "c")
	if g, err := farewellOf(c); err != nil || g.Reason != byeFull {
		t.Errorf("%+v, %v", g, err)
	}
	_ = c.NetConn().Close()
	await(t, "counted", func() bool { return b.Refused() == 1 })
	set(func() { clear(b.inbound); b.greeting += maxLinks })
	cert := f.pair(t, "south", "c", ca.Options{})
	if _, err := rawDial(t, b.address, rawTLS(&cert, protocolLink)); err == nil || b.Refused() != 2 {
		t.Errorf("%v, %d refused", err, b.Refused())
	}
	set(func() { b.greeting -= maxLinks })
	rawLink(t, b, cert, "south", "c")
}

// Pings are so rare that only a goodbye can tell: whoever stops says so, on links of both directions.
func TestCloseSaysGoodbye(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	cert := f.pair(t, "south", "c", ca.Options{})
	a, b := pairOf(t, f, func(c *Config) { c.Interval, c.Floor = time.Minute, time.Minute })
	told := make(chan goodbye, 1)
	address := rawServer(t, rawTLS(&cert, protocolLink), func(c *tls.Conn) {
		_, _ = c.Write(rawHello(t, "south", "c", nil))
		g, _ := farewellOf(c)
		told <- g
	})
	b.dial(t, Remote{Region: "south", Address: address})
	await(t, "up", b.up("south"))
	began := time.Now()
	b.stop()
	if g := <-told; g.Reason != byeClosing {
		t.Errorf("told %+v", g)
	}
	await(t, "a knows", func() bool { return !a.up("west")() })
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("after %s", took)
	}
	await(t, "a knows why", func() bool { return a.log.has("the other side ended the link: closed") })
}

// A gateway that is connected but answers no ping is down after the bound, and is told.
func TestSilence(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	cert := f.pair(t, "south", "c", ca.Options{})
	for _, tc := range []struct {
		name, cause string
		pings       bool
	}{{"dead", "nothing arrives from there", false}, {"deaf", "pings arrive from there, but ours do not arrive there", true}} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			type end struct {
				took time.Duration
				bye  goodbye
			}
			ended := make(chan end, 100)
			address := rawServer(t, rawTLS(&cert, protocolLink), func(c *tls.Conn) {
				began := time.Now()
				_, _ = c.Write(rawHello(t, "south", "c", nil))
				for {
					kind, payload, err := readFrame(c, nil, MaxReport)
					switch {
					case err != nil:
						return
					case kind == frameGoodbye:
						g, _ := farewellOf(bytes.NewReader(appendFrame(nil, kind, payload)))
						ended <- end{time.Since(began), g}
						return
					case kind == framePing && tc.pings:
						_, _ = c.Write(beat{seq: binary.BigEndian.Uint64(payload), heard: never}.frame(framePing))
					}
				}
			})
			a := start(t, f.credentials(t, f.issue(t, "east", "a-"+tc.name, ca.Options{})), "", func(c *Config) { c.Floor = 200 * ms })
			a.dial(t, Remote{Region: "south", Address: address})
			e := <-ended
			if e.bye.Reason != byeSilent || !strings.Contains(e.bye.Text, tc.cause) || e.took < 200*ms || e.took > 2*time.Second {
				t.Errorf("%+v", e)
			}
			await(t, "down", func() bool { return a.log.has(errSilent.Error() + " for 200ms: " + tc.cause) })
			await(t, "dialed again", a.up("south"))
		})
	}
}

func TestRestart(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	a, b := pairOf(t, f, nil)
	for range 2 {
		began := time.Now()
		b.stop()
		await(t, "down", func() bool { return strings.Contains(a.link("west", false).Error, "refused") })
		if l := a.link("west", false); l.Up || l.Gateway != "b" || l.Refused.Before(began) {
			t.Errorf("%+v", l)
		}
		b = start(t, f.credentials(t, f.issue(t, "west", "b", ca.Options{})), b.address, nil)
		await(t, "up again", a.up("west"))
		if l := a.link("west", false); !l.Refused.IsZero() {
			t.Errorf("%+v", l)
		}
		await(t, "reported again", func() bool { return b.report(Identity{"east", "a"}) != "" })
	}
}

// Whoever loses a link that the other side dialed dials it at once, however long it has been in vain.
func TestSeek(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	a, b := pairOf(t, f, nil)
	b.stop()
	began := time.Now()
	a.tire(t, Remote{Region: "west", Address: b.address}, func() { a.seek("b", "") })
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("20 dials took %s", took)
	}
}

// Whoever dials is dialed at once: a gateway that returns is linked both ways, however long it was dialed in vain.
func TestDialedByWhomItDials(t *testing.T) {
	t.Parallel()
	for _, known := range []bool{true, false} {
		t.Run(map[bool]string{true: "linked before", false: "new"}[known], func(t *testing.T) {
			t.Parallel()
			f := newFleet(t)
			a, b := pairOf(t, f, nil)
			at := Remote{Region: "west", Address: b.address}
			var took time.Duration
			for range 6 {
				b.stop()
				if !known {
					a.dial(t)
					a.dial(t, at)
				}
				a.tire(t, at, func() { notify(a.remote(at.Region, at.Address).again) })
				b = start(t, f.credentials(t, f.issue(t, "west", "b", ca.Options{})), at.Address, func(c *Config) { c.Advertise = at.Address })
				b.dial(t, Remote{Region: "east", Address: a.address})
				began := time.Now()
				await(t, "linked both ways", func() bool { return a.up("west")() && b.up("east")() })
				took += time.Since(began)
			}
			if took > 3*time.Second { // in turn, 15 s
				t.Errorf("6 times took %s", took)
			}
			t.Logf("N=6, %s in all", took)
		})
	}
}

// tire has a remote dialed in vain, at once each time, until it would rest for as long as it ever does: up to 5 s.
func (g *gateway) tire(t *testing.T, at Remote, again func()) {
	t.Helper()
	await(t, "down", func() bool { return strings.Contains(g.link(at.Region, false).Error, "refused") })
	for range 20 {
		before := g.link(at.Region, false).Refused
		again()
		await(t, "dialed", func() bool { return g.link(at.Region, false).Refused.After(before) })
	}
}

// Whoever only ends connections is not dialed without end.
func TestBackoff(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	var dials atomic.Int32
	address := server(t, func(net.Conn) { dials.Add(1) })
	a := start(t, f.credentials(t, f.issue(t, "east", "a", ca.Options{})), "", nil)
	a.dial(t, Remote{Region: "south", Address: address})
	<-time.After(700 * ms)
	if n := dials.Load(); n < 2 || n > 30 {
		t.Errorf("dialed %d times", n)
	}
}
