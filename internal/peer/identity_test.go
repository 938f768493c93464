package peer

import (
	"crypto/tls"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/ca"
)

// expired is a certificate that ended yesterday.
func expired() ca.Options {
	return ca.Options{Now: func() time.Time { return time.Now().Add(-ca.DefaultLife - 24*time.Hour) }}
}

// Whoever is no gateway of the fleet is refused and counted, and the links of the others do not notice.
func TestStrangersAreRefused(t *testing.T) {
	t.Parallel()
	f, other := newFleet(t), newFleet(t)
	a, b := pairOf(t, f, nil)
	good, late := f.pair(t, "east", "c", ca.Options{}), f.pair(t, "east", "late", expired())
	foreign := other.pair(t, "east", "c", ca.Options{})
	old := rawTLS(&good, protocolLink)
	old.MaxVersion = tls.VersionTLS12
	since := a.link("west", false).Since
	for _, tc := range []struct {
		name  string
		cfg   *tls.Config // nil: no TLS
		first []byte
		bye   string // "" for a connection that just ends
	}{
		{"another authority", rawTLS(&foreign, protocolLink), nil, ""},
		{"expired", rawTLS(&late, protocolLink), nil, ""},
		{"no certificate", rawTLS(nil, protocolLink), nil, ""},
		{"old TLS", old, nil, ""},
		{"wrong protocol", rawTLS(&good, "http/1.1"), nil, ""},
		{"no protocol", rawTLS(&good), nil, ""},
		{"plain HTTP", nil, []byte("GET / HTTP/1.1\r\n\r\n"), ""},
		{"nothing said", nil, nil, ""},
		{"somebody else's hello", rawTLS(&good, protocolLink), rawHello(t, "east", "a", nil), byeIdentity},
		{"newer", rawTLS(&good, protocolLink), rawHello(t, "east", "c", func(h *hello) { h.Min, h.Max = 2, 3 }), byeVersion},
		{"older", rawTLS(&good, protocolLink), rawHello(t, "east", "c", func(h *hello) { h.Min, h.Max = 0, 0 }), byeVersion},
		{"no JSON", rawTLS(&good, protocolLink), appendFrame(nil, frameHello, []byte("{")), byeProtocol},
		{"wrong JSON", rawTLS(&good, protocolLink), appendFrame(nil, frameHello, []byte(`{"min":"1"}`)), byeProtocol},
		{"huge hello", rawTLS(&good, protocolLink), rawHello(t, "east", "c", func(h *hello) { h.Version = strings.Repeat("v", maxHello) }), byeProtocol},
		{"report first", rawTLS(&good, protocolLink), appendFrame(nil, frameReport, nil), byeProtocol},
		{"goodbye first", rawTLS(&good, protocolLink), appendFrame(nil, frameGoodbye, []byte("{}")), ""},
	} {
		before := b.Refused()
		if tc.cfg == nil {
			c, err := net.Dial("tcp", b.address)
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Write(tc.first)
			if err != nil {
				t.Error(tc.name, err)
			}
			_ = c.(*net.TCPConn).CloseWrite()
			_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
			for err == nil {
				_, err = c.Read(make([]byte, 100))
			}
			_ = c.Close()
		} else if c, err := rawDial(t, b.address, tc.cfg); err == nil {
			_, err = c.Write(tc.first)
			g, rerr := farewellOf(c)
			_ = c.NetConn().Close()
			if tc.bye != "" && (g.Reason != tc.bye || g.Text == "" || err != nil) || tc.bye == "" && rerr == nil {
				t.Errorf("%s: %+v, %v, %v", tc.name, g, err, rerr)
			}
		} else if tc.bye != "" {
			t.Errorf("%s: %v", tc.name, err)
		}
		await(t, tc.name+" is counted", func() bool { return b.Refused() == before+1 })
		if l := a.link("west", false); !l.Up || !l.Since.Equal(since) || len(b.Links()) != 1 {
			t.Errorf("%s: %+v %+v", tc.name, l, b.Links())
		}
	}
}

// A gateway says why it has no link with what an address leads to, and tells those that can be told.
func TestWrongServers(t *testing.T) {
	t.Parallel()
	f, other := newFleet(t), newFleet(t)
	good, late := f.pair(t, "west", "raw", ca.Options{}), f.pair(t, "west", "late", expired())
	b := start(t, f.credentials(t, f.issue(t, "west", "b", ca.Options{})), "", nil)
	foreign := start(t, other.credentials(t, other.issue(t, "west", "b", ca.Options{})), "", nil)
	twin := start(t, f.credentials(t, f.issue(t, "east", "a", ca.Options{})), "", nil)
	newer := rawServer(t, rawTLS(&good, protocolLink), func(c *tls.Conn) {
		_, _ = c.Write(rawHello(t, "west", "raw", func(h *hello) { h.Min, h.Max = 7, 9 }))
		if g, err := farewellOf(c); err != nil || g.Reason != byeVersion {
			t.Errorf("told %+v, %v", g, err)
		}
	})
	for _, tc := range []struct {
		name, region, address, cause string
		refusing                     *gateway // counts it too
	}{
		{"wrong region", "south", b.address, "wrong region: the gateway here is b of region west, not of south", b},
		{"another authority", "west", foreign.address, "unknown authority", foreign},
		{"expired", "west", rawServer(t, rawTLS(&late, protocolLink), nil), "expired", nil},
		{"no protocol", "west", rawServer(t, rawTLS(&good), nil), `the other side speaks \"\"`, nil},
		{"other protocol", "west", rawServer(t, rawTLS(&good, "http/1.1"), nil), "no application protocol", nil},
		{"no TLS", "west", plainServer(t, "SSH-2.0-OpenSSH_9.9\r\n"), "tls handshake", nil},
		{"dumb", "west", plainServer(t, ""), "deadline exceeded", nil},
		{"newer", "west", newer, "no common version of the link protocol: here 1 to 1, there 7 to 9", nil},
		{"twin", "east", twin.address, "another gateway uses this gateway's name, east/a", twin},
		{"nobody", "west", "127.0.0.1:1", "refused", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			a := start(t, f.credentials(t, f.issue(t, "east", "a", ca.Options{Out: t.TempDir()})), "", nil)
			a.dial(t, Remote{Region: tc.region, Address: tc.address})
			await(t, "the cause is told", func() bool { return a.log.has(tc.cause) })
			await(t, "the cause is shown", func() bool {
				return strings.Contains(strings.ReplaceAll(a.link(tc.region, false).Error, `"`, `\"`), tc.cause)
			})
			if l := a.link(tc.region, false); l.Up || a.log.has("link is up") {
				t.Errorf("%+v", l)
			}
			if tc.refusing != nil {
				await(t, "it is counted there", func() bool { return tc.refusing.Refused() > 0 })
			}
		})
	}
}

func TestOwnAddress(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	a, b := pairOf(t, f, nil)
	a.dial(t, Remote{Region: "west", Address: b.address}, Remote{Region: "east", Address: a.address})
	await(t, "the loop is found", func() bool { return strings.Contains(a.link("east", false).Error, ErrSelf.Error()) })
	if !a.up("west")() || a.link("east", true).Up || a.Refused() > 0 {
		t.Errorf("%+v, %d refused", a.Links(), a.Refused())
	}
}

// rawServer serves connections whose handshake is done, one after the other.
func rawServer(t *testing.T, cfg *tls.Config, serve func(*tls.Conn)) string {
	return server(t, func(raw net.Conn) {
		c := tls.Server(raw, cfg)
		if c.Handshake() == nil && serve != nil {
			serve(c)
		}
	})
}

// plainServer says something and then listens.
func plainServer(t *testing.T, text string) string {
	return server(t, func(c net.Conn) {
		_, err := c.Write([]byte(text))
		for err == nil {
			_, err = c.Read(make([]byte, 1000))
		}
	})
}

// server ends, and has ended its connections, with the test and the subtests.
func server(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.SetDeadline(time.Now().Add(4 * time.Second))
			serve(c)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return l.Addr().String()
}
