package peer

import (
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/ca"
)

// shown returns the serial of the certificate that a gateway shows now.
func shown(t *testing.T, g *gateway, c *tls.Certificate) string {
	t.Helper()
	conn, err := rawDial(t, g.address, rawTLS(c, protocolForward))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.NetConn().Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// New files are taken over: what was dialed is dialed again, what came in stays.
func TestCredentialsAreRenewed(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	a, b := pairOf(t, f, nil)
	b.dial(t, Remote{Region: "east", Address: a.address})
	await(t, "b has a link to a", b.up("east"))
	cert := f.pair(t, "south", "c", ca.Options{})
	old, since, expires := shown(t, a, &cert), b.link("east", false).Since, a.cfg.Credentials.Expires()
	f.issue(t, "east", "a", ca.Options{Life: 24 * time.Hour})
	await(t, "the new certificate is shown", func() bool { return shown(t, a, &cert) != old })
	if !a.cfg.Credentials.Expires().Before(expires) {
		t.Error("the old end is told")
	}
	await(t, "a's links are new", func() bool {
		return b.log.has("the other side ended the link: "+errRenewed.Error()) && a.up("west")() && b.link("east", true).Up
	})
	if l := b.link("east", false); !l.Up || !l.Since.Equal(since) {
		t.Errorf("b's link to a did not stay: %+v", l)
	}
}

// Files that are bad change nothing, are told, and are taken when they are good.
func TestBadFilesKeepTheOldCredentials(t *testing.T) {
	t.Parallel()
	f, other := newFleet(t), newFleet(t)
	files := f.issue(t, "east", "a", ca.Options{})
	c := f.credentials(t, files)
	good, err := os.ReadFile(files.Cert)
	if err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	key := read(files.Key)
	o := func(now func() time.Time) ca.Options { return ca.Options{Out: t.TempDir(), Now: now} }
	yours, foreign := f.issue(t, "east", "b", o(nil)), other.issue(t, "east", "a", o(nil))
	late := f.issue(t, "east", "a", o(expired().Now))
	early := f.issue(t, "east", "a", o(func() time.Time { return time.Now().Add(time.Hour) }))
	for _, tc := range []struct{ name, cert, key, cause string }{
		{"another key", string(good), read(yours.Key), "private key"},
		{"another gateway", read(yours.Cert), read(yours.Key), "the certificate is of east/b, this gateway is east/a"},
		{"another authority", read(foreign.Cert), read(foreign.Key), "unknown authority"},
		{"expired", read(late.Cert), read(late.Key), "expired"},
		{"not yet", read(early.Cert), read(early.Key), "not yet valid"},
		{"empty", "", "", "PEM"},
		{"huge", strings.Repeat("x", maxPEM+1), key, "larger than 1 MiB"},
	} {
		for file, text := range map[string]string{files.Cert: tc.cert, files.Key: tc.key} {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		c.next.Store(0) // look now
		if err := c.Problem(); err == nil || !strings.Contains(err.Error(), tc.cause) {
			t.Errorf("%s: %v", tc.name, err)
		}
		if m := c.get(); m.generation != 0 || m.identity != (Identity{"east", "a"}) {
			t.Errorf("%s was taken over", tc.name)
		}
		_, err := LoadCredentials(filepath.Join(f.dir, ca.CertFile), files.Cert, files.Key)
		if tc.name != "another gateway" && (err == nil || !strings.Contains(err.Error(), tc.cause)) {
			t.Errorf("%s, from the start: %v", tc.name, err)
		}
	}
	f.issue(t, "east", "a", ca.Options{})
	c.next.Store(0)
	if err := c.Problem(); err != nil || c.get().generation != 1 {
		t.Errorf("generation %d, %v", c.get().generation, err)
	}
}

// An authority that has left the file ends the links of those it has signed.
func TestAuthorityLeaves(t *testing.T) {
	t.Parallel()
	f, next := newFleet(t), newFleet(t)
	a, b := pairOf(t, f, nil)
	root, err := os.ReadFile(filepath.Join(next.dir, ca.CertFile))
	if err != nil {
		t.Fatal(err)
	}
	files := next.issue(t, "west", "b", ca.Options{Out: t.TempDir()})
	b.cfg.Credentials.mu.Lock() // all three at once
	err = os.Rename(files.Key, filepath.Join(f.dir, "west-b.key"))
	if err == nil {
		err = os.Rename(files.Cert, filepath.Join(f.dir, "west-b.crt"))
	}
	b.cfg.Credentials.files[0] = filepath.Join(f.dir, "b.ca")
	if err == nil {
		err = os.WriteFile(filepath.Join(f.dir, "b.ca"), root, 0o600)
	}
	b.cfg.Credentials.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	await(t, "b does not believe a", func() bool { return !b.link("east", true).Up && !a.up("west")() })
	await(t, "a knows why", func() bool { return a.log.has("unknown authority") })
}

// Requests are forwarded with certificates that are good: connections do not outlive theirs.
func TestForwardOutlivesACertificate(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	short := f.issue(t, "east", "a", ca.Options{Life: time.Minute, Now: func() time.Time { return time.Now().Add(2*time.Second - time.Minute) }})
	a := start(t, f.credentials(t, short), "", nil)
	b := start(t, f.credentials(t, f.issue(t, "west", "b", ca.Options{})), "", nil)
	a.dial(t, Remote{Region: "west", Address: b.address})
	await(t, "up", a.up("west"))
	ask := func() int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://b/", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := a.Transport("west", b.address).RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode
	}
	if code := ask(); code != http.StatusOK {
		t.Fatal(code)
	}
	f.issue(t, "east", "a", ca.Options{})
	await(t, "renewed", func() bool { return a.cfg.Credentials.get().generation == 1 })
	<-time.After(time.Until(short.Expires.Truncate(time.Second)) + 50*ms)
	for range 3 {
		if code := ask(); code != http.StatusOK {
			t.Errorf("status %d after the old certificate's end", code)
		}
	}
}
