package sessions_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"
)

// atOnce bounds how long a gateway may think about an id that is none.
const atOnce = 250 * time.Millisecond

// forgeries are ids that no gateway of the fleet gave out: what stands in an id, changed in each of its parts.
func forgeries(t *testing.T, real string) map[string]string {
	t.Helper()
	all := map[string]string{
		"words":          "please",
		"32 hex digits":  "0123456789abcdef0123456789abcdef",
		"longer by one":  real + "A",
		"shorter by one": real[:len(real)-1],
		"1 MiB":          strings.Repeat("q1", 1<<17),
	}
	head, body, ok := strings.Cut(real, "q1")
	b, err := base64.RawURLEncoding.DecodeString(body)
	if !ok || head != "" || err != nil {
		t.Fatalf("an id that this test does not know: %d bytes, %v", len(real), err)
	}
	for i := range b {
		forged := append([]byte(nil), b...)
		forged[i] ^= 1
		all[fmt.Sprintf("bit 0 of byte %d", i)] = "q1" + base64.RawURLEncoding.EncodeToString(forged)
	}
	return all
}

// gone fails the test unless every gateway says 404 to an id, at once.
func (w *world) gone(what, id string) {
	w.t.Helper()
	for _, m := range w.gateways() {
		r := w.raw(m.url())
		r.session = id
		for _, a := range []*answer{r.read(), r.do(w.t.Context(), "GET", "", "Accept", "text/event-stream"), r.end()} {
			if a.err != nil && len(id) > 1<<16 {
				continue // too long for a header: the connection may be closed
			}
			if (!a.gone() && a.status != 431) || a.took() > atOnce {
				w.t.Errorf("%s at %s: %s", what, m.name, a)
			}
			if a.gone() && strings.Contains(a.text, "jsonrpc") {
				w.t.Errorf("%s at %s: a body that clients do not take for the end of a session: %s", what, m.name, a.text)
			}
		}
		r.close()
	}
}

// TestIdsThatAreNone: a forged, a deleted and an expired id get 404 at once at every gateway, also after all of them
// were started anew; a living one does not.
func TestIdsThatAreNone(t *testing.T) {
	w := newWorld(t, setup{service: "    session: {idle: 6s, sweep: 200ms}\n"})
	a := w.members[0]
	expired := w.raw(a.url()).open()
	deleted, moved := w.raw(a.url()).open(), w.raw(a.url()).open()
	if x := moved.at(w.members[1]).read(); !x.good() {
		t.Fatalf("control: a session at another gateway: %s", x)
	}
	if x := deleted.end(); !x.good() {
		t.Fatalf("DELETE: %s", x)
	}
	if x := moved.at(w.members[2]).end(); !x.good() {
		t.Fatalf("DELETE at a third gateway: %s", x)
	}
	ended := map[string]string{"deleted": deleted.session, "moved, then deleted": moved.session}
	for what, id := range ended {
		w.gone(what, id)
	}
	w.await(20*time.Second, "a session expires", func() bool { w.pass(7 * time.Second); return expired.read().gone() })
	ended["expired"] = expired.session
	alive := w.raw(a.url()).open()
	for what, id := range forgeries(t, alive.session) {
		ended["forged: "+what] = id
	}
	for what, id := range ended {
		w.gone(what, id)
	}
	w.copied(w.members...)
	if x := alive.read(); !x.good() {
		t.Fatalf("control: a living session: %s", x)
	}
	for _, m := range w.members {
		m.kill()
	}
	w.start(w.members...)
	w.writable(w.members...)
	if x := alive.at(w.members[1]).read(); !x.good() {
		t.Errorf("control: a living session after all were started anew: %s", x)
	}
	for what, id := range ended {
		w.gone(what+", after a start", id)
	}
	t.Logf("N=%d ids that are none, at %d gateways, before and after a start of all: 404 within %s", len(ended), len(w.gateways()), atOnce)
}

// TestForeignFleet: an id of another fleet is forged here.
func TestForeignFleet(t *testing.T) {
	w := newWorld(t, setup{})
	o := newWorld(t, setup{})
	foreign := o.raw(o.members[0].url()).open()
	w.gone("an id of another fleet", foreign.session)
	if x := foreign.read(); !x.good() {
		t.Errorf("control: at home it is %s", x)
	}
}
