package peer

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/ca"
	"github.com/quorate/quorate/internal/logbook"
	"github.com/quorate/quorate/internal/poll"
)

// fleet is an authority and what it has issued.
type fleet struct{ dir string }

func newFleet(t *testing.T) fleet {
	t.Helper()
	f := fleet{dir: t.TempDir()}
	if err := ca.Init(f.dir, ca.Options{}); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f fleet) issue(t *testing.T, region, gateway string, o ca.Options) ca.Files {
	t.Helper()
	files, err := ca.Issue(f.dir, region, gateway, o)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func (f fleet) credentials(t *testing.T, files ca.Files) *Credentials {
	t.Helper()
	c, err := LoadCredentials(filepath.Join(f.dir, ca.CertFile), files.Cert, files.Key)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (f fleet) pair(t *testing.T, region, gateway string, o ca.Options) tls.Certificate {
	t.Helper()
	files := f.issue(t, region, gateway, o)
	c, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// record is a log that can be read while it is written.
type record struct{ logbook.Book }

func (r *record) has(s string) bool { return len(r.With(s)) > 0 }

// gateway is a Peers that serves on a loopback port.
type gateway struct {
	*Peers
	address string
	log     record
	mu      sync.Mutex
	reports map[Identity]string // the newest by sender
	rtts    int
	stop    func()
}

// start serves with quick pings. It listens on address, on a free port when that is "".
func start(t *testing.T, c *Credentials, address string, change func(*Config)) *gateway {
	t.Helper()
	g := &gateway{reports: map[Identity]string{}}
	cfg := Config{Credentials: c, Version: "v-" + c.Identity().Gateway, Interval: 20 * time.Millisecond, Floor: 2 * time.Second,
		Report: func() []byte { return []byte("report of " + c.Identity().Gateway) },
		Received: func(from Identity, payload []byte) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.reports[from] = string(payload)
		},
		RTT: func(string, string, time.Duration) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.rtts++
		},
		Forward: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			id, ok := From(r.Context())
			if !ok {
				id.Gateway = "nobody"
			}
			_, _ = io.WriteString(w, id.String()+" asks "+c.Identity().String()+" for "+r.URL.Path)
		}),
		Logger: slog.New(slog.NewTextHandler(&g.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	if change != nil {
		change(&cfg)
	}
	if address == "" {
		address = "127.0.0.1:0"
	}
	var l net.Listener
	await(t, "the port is free", func() (ok bool) {
		var err error
		l, err = net.Listen("tcp", address)
		return err == nil
	})
	g.address = l.Addr().String()
	var err error
	if g.Peers, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- g.Serve(l) }()
	g.stop = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if err := errors.Join(g.Close(ctx), <-served); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	t.Cleanup(g.stop)
	return g
}

func (g *gateway) dial(t *testing.T, all ...Remote) {
	t.Helper()
	if err := g.SetRemotes(all); err != nil {
		t.Fatal(err)
	}
}

func (g *gateway) report(from Identity) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.reports[from]
}

// link returns the link to a region, or from it.
func (g *gateway) link(region string, in bool) Link {
	for _, l := range g.Links() {
		if l.Region == region && l.In == in {
			return l
		}
	}
	return Link{}
}

func (g *gateway) up(region string) func() bool {
	return func() bool { return g.link(region, false).Up }
}

func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	poll.True(t, time.Millisecond, 5*time.Second, what, is)
}

// pairOf returns two gateways of which the first has dialed the second.
func pairOf(t *testing.T, f fleet, change func(*Config)) (a, b *gateway) {
	t.Helper()
	a = start(t, f.credentials(t, f.issue(t, "east", "a", ca.Options{})), "", change)
	b = start(t, f.credentials(t, f.issue(t, "west", "b", ca.Options{})), "", change)
	a.dial(t, Remote{Region: "west", Address: b.address})
	await(t, "a has a link to b", a.up("west"))
	return a, b
}

// raw is the other end of a gateway's connections, with nothing of this package but the frames.
func rawTLS(c *tls.Certificate, alpn ...string) *tls.Config {
	cfg := &tls.Config{InsecureSkipVerify: true, NextProtos: alpn, ClientAuth: tls.RequestClientCert} //nolint:gosec // a test's
	if c != nil {
		cfg.Certificates = []tls.Certificate{*c}
	}
	return cfg
}

// rawDial dials and shakes hands as far as TLS lets a client see it.
func rawDial(t *testing.T, address string, cfg *tls.Config) (*tls.Conn, error) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	conn := tls.Client(c, cfg)
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	err = conn.Handshake()
	return conn, err
}

func rawHello(t *testing.T, region, gateway string, change func(*hello)) []byte {
	t.Helper()
	h := hello{Min: 1, Max: 1, Region: region, Gateway: gateway, Instance: "raw"}
	if change != nil {
		change(&h)
	}
	frame, err := jsonFrame(frameHello, h)
	if err != nil {
		t.Fatal(err)
	}
	return frame
}

// until reads frames up to one of a kind.
func until(r io.Reader, want byte) ([]byte, error) {
	for {
		kind, payload, err := readFrame(r, nil, MaxReport)
		if err != nil || kind == want {
			return payload, err
		}
	}
}

// farewellOf reads up to the goodbye.
func farewellOf(r io.Reader) (g goodbye, err error) {
	payload, err := until(r, frameGoodbye)
	if err == nil {
		err = json.Unmarshal(payload, &g)
	}
	return g, err
}
