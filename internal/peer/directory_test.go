package peer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/ca"
)

func get(t *testing.T, by http.RoundTripper) (string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://whatever/path", nil)
	if err != nil {
		return "", err
	}
	resp, err := by.RoundTrip(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return fmt.Sprint(resp.StatusCode, " ", string(body)), err
}

// Whoever answers at an address is linked, of this gateway's own region too, and is known by name.
func TestRemoteOfAnyRegion(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	a := start(t, f.credentials(t, f.issue(t, "east", "a", ca.Options{})), "", func(c *Config) { c.Advertise = "a.example:9100" })
	b := start(t, f.credentials(t, f.issue(t, "east", "b", ca.Options{})), "", nil)
	c := start(t, f.credentials(t, f.issue(t, "west", "c", ca.Options{})), "", func(c *Config) { c.Advertise = "c.example:9100" })
	list := []Remote{{Address: a.address}, {Address: b.address}, {Address: c.address}}
	for _, g := range []*gateway{a, b, c} {
		g.dial(t, list...)
	}
	for _, g := range []*gateway{a, b, c} {
		for other, region := range map[*gateway]string{a: "east", b: "east", c: "west"} {
			if g == other {
				continue
			}
			name := other.identity.Gateway
			await(t, name+" is found", func() bool { l, ok := g.Find(name); return ok && l.Up && l.RTT > 0 })
			if l, _ := g.Find(name); l.Region != region || l.Gateway != name || l.Advertised != other.cfg.Advertise || l.Version != "v-"+name {
				t.Errorf("%+v", l)
			}
			await(t, "dialed", func() bool { return g.leading(name) != nil })
			want := fmt.Sprintf("200 %s asks %s for /path", g.identity, other.identity)
			for _, by := range []http.RoundTripper{g.Transport("", other.address), g.TransportTo(name)} {
				if got, err := get(t, by); got != want || err != nil {
					t.Errorf("%q, %v", got, err)
				}
			}
			if err := g.Alive(t.Context(), "", other.address); err != nil {
				t.Error(err)
			}
		}
		await(t, "it knows itself", func() bool { return g.remote("", g.address).itself() })
		for _, l := range g.Links() {
			if l.Gateway == g.identity.Gateway || !l.Up {
				t.Errorf("%+v", l)
			}
		}
		if _, ok := g.Find(g.identity.Gateway); ok || g.log.has("level=WARN") || g.Refused() > 0 {
			t.Error("its own address is a fault")
		}
	}
	if _, ok := a.Find("nobody"); ok {
		t.Error("found nobody")
	}
	if _, err := get(t, a.TransportTo("nobody")); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
	if _, ok := a.Find(""); ok {
		t.Error("found no name")
	}
}

// An address that the configuration gives a region needs no second link.
func TestRemoteOfAnyRegionGivesWay(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	a, b := pairOf(t, f, nil)
	a.dial(t, Remote{Address: b.address}, Remote{Region: "west", Address: b.address})
	if l := a.Links(); len(l) != 1 || l[0].Region != "west" || !l[0].Up {
		t.Errorf("%+v", l)
	}
	if err := a.Alive(t.Context(), "", b.address); err != nil {
		t.Error(err)
	}
}

// An address may lead to another gateway one day. What is meant for the first never reaches it.
func TestAddressMoves(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	a := start(t, f.credentials(t, f.issue(t, "east", "a", ca.Options{})), "", nil)
	b := start(t, f.credentials(t, f.issue(t, "west", "b", ca.Options{})), "", nil)
	a.dial(t, Remote{Address: b.address})
	await(t, "b is found", func() bool { l, _ := a.Find("b"); return l.Up })
	if got, err := get(t, a.TransportTo("b")); err != nil {
		t.Fatal(got, err)
	}
	b.stop()
	await(t, "b is down, and remembered", func() bool { l, ok := a.Find("b"); return ok && !l.Up && l.Error != "" })
	c := start(t, f.credentials(t, f.issue(t, "north", "c", ca.Options{})), b.address, nil)
	if got, err := get(t, a.TransportTo("b")); !errors.Is(err, errMoved) && !errors.Is(err, ErrUnknown) {
		t.Errorf("for b: %q, %v", got, err)
	}
	await(t, "c is found", func() bool { l, _ := a.Find("c"); return l.Up && l.Region == "north" })
	if _, err := get(t, a.TransportTo("b")); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
	if got, err := get(t, a.TransportTo("c")); got != "200 east/a asks north/c for /path" {
		t.Error(got, err)
	}
	r := a.remote("", c.address)
	if _, err := get(t, r.newTransport("b")); !errors.Is(err, errMoved) || !strings.Contains(err.Error(), "the gateway here is c, not b") {
		t.Error(err)
	}
}

// Of several links the one that was last seen to work is taken, and a probe is none.
func TestFreshestLink(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	cert := f.pair(t, "south", "c", ca.Options{})
	a := start(t, f.credentials(t, f.issue(t, "east", "a", ca.Options{})), "", nil)
	probe, err := rawDial(t, a.address, rawTLS(&cert, protocolLink))
	if err == nil {
		_, err = probe.Write(rawHello(t, "south", "c", func(h *hello) { h.Probe = true }))
	}
	if err == nil {
		_, err = until(probe, framePing)
	}
	if err != nil || a.Signal("c", nil) {
		t.Fatalf("a probe passes for a link: %v", err)
	}
	mute := rawServer(t, rawTLS(&cert, protocolLink), func(c *tls13) {
		_, _ = c.Write(rawHello(t, "south", "c", nil))
		_, _ = until(c, frameGoodbye)
	})
	a.dial(t, Remote{Region: "south", Address: mute})
	await(t, "the mute link is up", a.up("south"))
	live := rawLink(t, a, cert, "south", "c")
	for range 3 {
		payload, err := until(live, framePing)
		if err == nil {
			_, err = live.Write(beat{seq: binary.BigEndian.Uint64(payload), sent: sentOf(payload)}.frame(framePong))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	await(t, "its pong came", func() bool { l, _ := a.Find("c"); return l.In && l.RTT > 0 })
	if !a.Signal("c", []byte("here")) {
		t.Error("not sent")
	}
	if payload, err := until(live, frameSignal); string(payload) != "here" {
		t.Errorf("%q, %v", payload, err)
	}
}
