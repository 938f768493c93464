package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/identity"
	"github.com/quorate/quorate/regions/identity/identitytest"
)

// speak starts an HTTP server that shows cert. It ends with the test, or when it is killed.
func speak(t testing.TB, address string, cert tls.Certificate, h http.HandlerFunc) (l *identitytest.Listener, kill func()) {
	t.Helper()
	l = identitytest.Listen(t, address, &tls.Config{Certificates: []tls.Certificate{cert}})
	server := &http.Server{Handler: h, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	kill = func() { _ = server.Close(); <-done }
	t.Cleanup(kill)
	return l, kill
}

func echo(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }

// held returns what makes a node be held to id.
func held(t testing.TB, id regions.Identity, a *identitytest.Authority) func(*Config) {
	t.Helper()
	hold, err := identity.TLS(id, "127.0.0.1", a.Pool())
	if err != nil {
		t.Fatal(err)
	}
	return func(c *Config) { c.TLS, c.Connect = hold, 10*time.Second }
}

var name = regions.Identity{TLSName: "a.example.com"}

func (s *seen) falseOnes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.unproven)
}

func wantBody(t *testing.T, n *Node, body string) {
	t.Helper()
	resp, err := n.Do(within(t, 20*time.Second), post(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || string(b) != body {
		t.Errorf("body %q, error %v", b, err)
	}
}

func TestImpostorIsSentNothing(t *testing.T) {
	trusted, other := identitytest.NewAuthority(t, "trusted"), identitytest.NewAuthority(t, "other")
	leaf := identitytest.Leaf{DNS: []string{"a.example.com"}}
	tests := []struct {
		name string
		cert tls.Certificate
		id   regions.Identity
	}{
		{"another authority", other.Issue(t, leaf), name},
		{"another name", trusted.Issue(t, identitytest.Leaf{DNS: []string{"b.example.com"}}), name},
		{"another key", trusted.Issue(t, leaf), regions.Identity{TLSName: "a.example.com", SPKI: strings.Repeat("00", 32)}},
		{"no identity, another host", trusted.Issue(t, leaf), regions.Identity{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l, _ := speak(t, "", test.cert, echo)
			n, s := newNode(t, "https://"+l.Address()+"/mcp", nil, held(t, test.id, trusted))
			for range 20 { // more than a breaker stands
				_, err := n.Do(within(t, 20*time.Second), post(`{"secret":1}`))
				wantError(t, err, NotSent, Unproven)
				if !errors.Is(err, identity.ErrIdentity) {
					t.Errorf("%v is no ErrIdentity", err)
				}
			}
			if l.Received() != 0 || l.Connections() != 20 {
				t.Errorf("%d bytes over %d connections", l.Received(), l.Connections())
			}
			if s.falseOnes() != 20 || len(s.calls) != 0 || n.Dead() || !n.Unproven() || n.InFlight() != 0 || n.BreakerState() != "closed" {
				t.Errorf("told %d times; other failures %v; dead %v, unproven %v, in flight %d, breaker %s",
					s.falseOnes(), s.calls, n.Dead(), n.Unproven(), n.InFlight(), n.BreakerState())
			}
			counts := map[string]uint64{}
			n.Results(func(result string, count uint64) { counts[result] = count })
			if counts["unproven"] != 20 {
				t.Errorf("results %v", counts)
			}
		})
	}
}

// Without a proof the same impostor gets everything: what the tests above count is really there to be counted.
func TestWithoutProofAnImpostorIsSentAll(t *testing.T) {
	l, _ := speak(t, "", identitytest.NewAuthority(t, "other").Issue(t, identitytest.Leaf{}), echo)
	n, _ := newNode(t, "https://"+l.Address()+"/mcp", nil, func(c *Config) { c.TLS, c.Connect = &tls.Config{InsecureSkipVerify: true}, 10*time.Second })
	wantBody(t, n, `{"secret":1}`)
	if l.Received() < 100 {
		t.Errorf("%d bytes", l.Received())
	}
}

func TestNodeIsReplacedByAnImpostor(t *testing.T) {
	trusted, other := identitytest.NewAuthority(t, "trusted"), identitytest.NewAuthority(t, "other")
	leaf := identitytest.Leaf{DNS: []string{"a.example.com"}}
	right := trusted.Issue(t, leaf)
	l, kill := speak(t, "", right, echo)
	n, s := newNode(t, "https://"+l.Address()+"/mcp", nil, held(t, name, trusted))
	wantBody(t, n, "a")
	wantBody(t, n, "b")
	if l.Connections() != 1 {
		t.Errorf("%d connections for two calls", l.Connections())
	}
	kill()
	impostor, end := speak(t, l.Address(), other.Issue(t, leaf), echo)
	_, err := n.Do(within(t, 20*time.Second), post(`{"secret":1}`))
	wantError(t, err, NotSent, Unproven)
	end()
	speak(t, l.Address(), right, echo)
	wantBody(t, n, "c") // the one who asks anyway gets an answer, but that is not enough for the others
	if !n.Unproven() || !n.Revive(time.Now().Add(-time.Hour)) || !n.Unproven() {
		t.Error("a sighting from before ended the doubt")
	}
	if !n.Revive(time.Now().Add(time.Second)) || n.Unproven() {
		t.Error("a later sighting did not end the doubt")
	}
	if impostor.Received() != 0 || impostor.Connections() != 1 || s.falseOnes() != 1 {
		t.Errorf("%d bytes over %d connections, told %d times", impostor.Received(), impostor.Connections(), s.falseOnes())
	}
}

// What runs on connections that were proven goes on when another takes the address over, and no connection of
// before serves anything new.
func TestProvenCallOutlivesATakeover(t *testing.T) {
	trusted, other := identitytest.NewAuthority(t, "trusted"), identitytest.NewAuthority(t, "other")
	leaf := identitytest.Leaf{DNS: []string{"a.example.com"}}
	release, open := gate()
	t.Cleanup(open)
	arrived := make(chan struct{}, 1)
	l, _ := speak(t, "", trusted.Issue(t, leaf), func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if string(b) == "slow" {
			arrived <- struct{}{}
			<-release
		}
		_, _ = w.Write(b)
	})
	n, _ := newNode(t, "https://"+l.Address()+"/mcp", nil, held(t, name, trusted))
	slow := make(chan error, 1)
	go func() {
		resp, err := n.Do(context.Background(), post("slow"))
		if err == nil {
			_, err = io.ReadAll(resp.Body)
		}
		slow <- err
	}()
	<-arrived
	_ = l.Close()
	impostor, _ := speak(t, l.Address(), other.Issue(t, leaf), echo)
	_, err := n.Do(within(t, 20*time.Second), post(`{"secret":1}`))
	wantError(t, err, NotSent, Unproven)
	open()
	if err := <-slow; err != nil {
		t.Errorf("the call under way: %v", err)
	}
	_, err = n.Do(within(t, 20*time.Second), post(`{"secret":1}`))
	wantError(t, err, NotSent, Unproven)
	if impostor.Received() != 0 || n.Dead() {
		t.Errorf("%d bytes, dead %v", impostor.Received(), n.Dead())
	}
}

// A call that waits for a node in whose place another answers waits for nobody.
func TestSuspectProbeThatMeetsAnImpostorEndsTheCall(t *testing.T) {
	trusted := identitytest.NewAuthority(t, "trusted")
	release, open := gate()
	l, _ := speak(t, "", trusted.Issue(t, identitytest.Leaf{DNS: []string{"a.example.com"}}), func(http.ResponseWriter, *http.Request) { <-release })
	t.Cleanup(open) // before the server is closed, which waits for its handler
	hold := held(t, name, trusted)
	n, s := newNode(t, "https://"+l.Address()+"/mcp", func(context.Context) error {
		return &identity.Error{Want: "one key", Got: "another"}
	}, func(c *Config) { hold(c); c.Suspect = 10 * time.Millisecond })
	_, err := n.Do(within(t, 20*time.Second), post("{}"))
	wantError(t, err, Sent, Dead)
	if s.falseOnes() != 1 || !n.Unproven() || !n.Dead() {
		t.Errorf("told %d times, unproven %v, dead %v", s.falseOnes(), n.Unproven(), n.Dead())
	}
}
