package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/ca"
)

func TestTwoGatewaysLinkBothWays(t *testing.T) {
	t.Parallel()
	a, b := pairOf(t, newFleet(t), nil)
	b.dial(t, Remote{Region: "east", Address: a.address})
	await(t, "b has a link to a", b.up("east"))
	for _, tc := range []struct {
		at      *gateway
		from    Identity
		hasAddr string
	}{
		{a, Identity{"west", "b"}, b.address}, {b, Identity{"east", "a"}, a.address},
	} {
		await(t, "report of "+tc.from.String(), func() bool { return tc.at.report(tc.from) == "report of "+tc.from.Gateway })
		for _, in := range []bool{false, true} {
			await(t, "both directions are up and measured", func() bool {
				l := tc.at.link(tc.from.Region, in)
				return l.Up && l.RTT > 0
			})
			l := tc.at.link(tc.from.Region, in)
			if l.Gateway != tc.from.Gateway || l.Version != "v-"+tc.from.Gateway || l.Error != "" || l.Since.IsZero() || !in && l.Address != tc.hasAddr {
				t.Errorf("%+v", l)
			}
		}
		await(t, "round trips are told", func() bool {
			tc.at.mu.Lock()
			defer tc.at.mu.Unlock()
			return tc.at.rtts > 1
		})
		if n := len(tc.at.Links()); n != 2 {
			t.Errorf("%d links", n)
		}
	}
	if a.Refused()+b.Refused() != 0 {
		t.Error("refused", a.Refused(), b.Refused())
	}
	if err := a.Alive(t.Context(), "west", b.address); err != nil {
		t.Error(err)
	}
	if err := a.Alive(t.Context(), "moon", b.address); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
	a.dial(t) // nobody
	await(t, "the links end", func() bool { return a.link("west", false) == Link{} && b.link("east", true) == Link{} })
}

// What another gateway is not told is as good as what it is: one side without reports hears the other's.
func TestReportBounds(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		size      int
		delivered bool
	}{{1, true}, {MaxReport, true}, {MaxReport + 1, false}} {
		t.Run(fmt.Sprint(tc.size), func(t *testing.T) {
			t.Parallel()
			f := newFleet(t)
			b := start(t, f.credentials(t, f.issue(t, "west", "b", ca.Options{})), "", nil)
			a := start(t, f.credentials(t, f.issue(t, "east", "a", ca.Options{})), "", func(c *Config) {
				c.Report = func() []byte { return []byte(strings.Repeat("x", tc.size)) }
			})
			a.dial(t, Remote{Region: "west", Address: b.address})
			await(t, "up", a.up("west"))
			if tc.delivered {
				await(t, "delivered", func() bool { return len(b.report(Identity{"east", "a"})) == tc.size })
				return
			}
			await(t, "logged", func() bool { return a.log.has("report is too large") })
			if err := a.Alive(t.Context(), "west", b.address); err != nil || !a.up("west")() || b.report(Identity{"east", "a"}) != "" {
				t.Errorf("%v, %+v", err, a.Links())
			}
		})
	}
}

func TestForward(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	a, b := pairOf(t, f, nil)
	ask := func(region, address string) (string, error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://whatever/path", nil)
		if err != nil {
			return "", err
		}
		resp, err := a.Transport(region, address).RoundTrip(r)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return fmt.Sprint(resp.StatusCode, resp.ProtoMajor, " ", string(body)), err
	}
	if got, err := ask("west", b.address); err != nil || got != "200 2 east/a asks west/b for /path" {
		t.Errorf("%q, %v", got, err)
	}
	for _, to := range [][2]string{{"moon", b.address}, {"west", "127.0.0.1:1"}, {"", ""}} {
		if got, err := ask(to[0], to[1]); !errors.Is(err, ErrUnknown) {
			t.Errorf("%v: %q, %v", to, got, err)
		}
	}
	a.dial(t, Remote{Region: "north", Address: b.address})
	if got, err := ask("west", b.address); !errors.Is(err, ErrUnknown) {
		t.Errorf("after it has left: %q, %v", got, err)
	}
	if got, err := ask("north", b.address); !errors.Is(err, ErrRegion) {
		t.Errorf("of the wrong region: %q, %v", got, err)
	}
	before := b.Refused()
	if c, err := rawDial(t, b.address, rawTLS(nil, protocolForward)); err == nil {
		if _, err = c.Read(make([]byte, 1)); err == nil {
			t.Error("served without a certificate")
		}
	}
	await(t, "counted", func() bool { return b.Refused() > before })
	if _, ok := From(context.Background()); ok {
		t.Error("somebody passed nothing on")
	}
}

func TestConfigBounds(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	g := start(t, f.credentials(t, f.issue(t, "east", "a", ca.Options{})), "", nil)
	for name, change := range map[string]func(*Config){
		"no credentials": func(c *Config) { c.Credentials = nil }, "no handler": func(c *Config) { c.Forward = nil },
		"no logger": func(c *Config) { c.Logger = nil }, "too quick": func(c *Config) { c.Interval = ms },
		"too slow": func(c *Config) { c.Interval, c.Floor = 2*60_000*ms, 3*60_000*ms }, "floor": func(c *Config) { c.Floor = c.Interval - 1 },
	} {
		cfg := g.cfg
		change(&cfg)
		if _, err := New(cfg); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
	many := make([]Remote, maxRemotes+1)
	for i := range many {
		many[i] = Remote{Region: "r", Address: fmt.Sprintf("127.0.0.1:%d", i+1)}
	}
	for name, all := range map[string][]Remote{
		"too many": many, "no port": {{Region: "r", Address: "host"}}, "no port, no region": {{Address: "h"}},
		"one of two": {{Region: "r", Address: "127.0.0.1:1"}, {Region: "r"}},
	} {
		if err := g.SetRemotes(all); !errors.Is(err, ErrConfig) || len(g.Links()) > 0 {
			t.Errorf("%s: %v, %d links", name, err, len(g.Links()))
		}
	}
	g.stop()
	if err := g.SetRemotes(nil); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

// Requests take several connections in turn, so that what comes at once when a region is lost does not wait
// behind the first window of one that was idle.
func TestForwardTakesLanes(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	a, b := pairOf(t, f, nil)
	used := map[string]int{}
	trace := &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { used[i.Conn.LocalAddr().String()]++ }}
	for range 3 * Lanes {
		r, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), http.MethodGet, "https://b/", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := a.Transport("west", b.address).RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	if len(used) != Lanes {
		t.Errorf("%d connections: %v", len(used), used)
	}
	for c, n := range used {
		if n != 3 {
			t.Errorf("%s carried %d requests of %d", c, n, 3*Lanes)
		}
	}
}

// TestForwardManyFields: whatever an agent's or a node's header section comes to in HTTP/2, which counts 32 bytes more for
// each field, is no broken link.
func TestForwardManyFields(t *testing.T) {
	t.Parallel()
	const asked, answered = 64 << 10 / 4, 256 << 10 / 4 // fields of four bytes, as a: and the line's end
	a, b := pairOf(t, newFleet(t), func(c *Config) {
		c.Forward = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if n := len(r.Header["A"]); n != asked {
				t.Errorf("%d fields", n)
			}
			w.Header()["A"] = make([]string, answered)
		})
	})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://whatever/path", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header["A"] = make([]string, asked)
	resp, err := a.Transport("west", b.address).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if n := len(resp.Header["A"]); resp.StatusCode != http.StatusOK || n != answered {
		t.Errorf("%s with %d fields", resp.Status, n)
	}
}
