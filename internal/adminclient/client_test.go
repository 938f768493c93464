package adminclient

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/ca"
	"github.com/quorate/quorate/internal/settings"
)

// listener answers requests by a script, and remembers them.
type listener struct {
	mu     sync.Mutex
	script []reply // the last one again and again
	seen   []string
}

type reply struct {
	code int
	body string
}

func (l *listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = append(l.seen, strings.TrimSpace(r.Method+" "+r.Header.Get("If-Match")+r.Header.Get("If-None-Match")+" "+r.Header.Get("Authorization")))
	now := l.script[0]
	if len(l.script) > 1 {
		l.script = l.script[1:]
	}
	w.WriteHeader(now.code)
	_, _ = w.Write([]byte(now.body))
}

func dial(t *testing.T, l *listener, patience time.Duration) *Client {
	t.Helper()
	s := httptest.NewServer(l)
	t.Cleanup(s.Close)
	c, err := New(Config{Address: s.URL, Token: "t", Patience: patience})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const (
	kept     = `{"name":"x","revision":7,"settings":{"limit":1}}`
	noQuorum = `{"error":{"code":"no_quorum","message":"no majority"}}`
	conflict = `{"error":{"code":"precondition_failed","message":"is at revision 7"}}`
)

func TestPutSetting(t *testing.T) {
	for name, c := range map[string]struct {
		script []reply
		ok     bool
		seen   []string
	}{
		"at once":                           {[]reply{{200, kept}}, true, []string{`PUT "5" Bearer t`}},
		"after an election":                 {[]reply{{503, noQuorum}, {200, kept}}, true, []string{`PUT "5" Bearer t`, `PUT "5" Bearer t`}},
		"conflict":                          {[]reply{{412, conflict}}, false, []string{`PUT "5" Bearer t`}},
		"an earlier try had happened":       {[]reply{{503, noQuorum}, {412, conflict}, {200, kept}}, true, []string{`PUT "5" Bearer t`, `PUT "5" Bearer t`, `GET  Bearer t`}},
		"somebody else came between":        {[]reply{{503, noQuorum}, {412, conflict}, {200, `{"settings":{"limit":2}}`}}, false, []string{`PUT "5" Bearer t`, `PUT "5" Bearer t`, `GET  Bearer t`}},
		"what is wrong is not tried again":  {[]reply{{400, `{"error":{"code":"bad_setting","message":"m"}}`}}, false, []string{`PUT "5" Bearer t`}},
		"something else answers, and is no": {[]reply{{302, ""}}, false, []string{`PUT "5" Bearer t`}},
	} {
		t.Run(name, func(t *testing.T) {
			l := &listener{script: c.script}
			s, err := dial(t, l, time.Minute).PutSetting(t.Context(), settings.Routes, "x", []byte(`{ "limit": 1 }`), 5)
			if (err == nil) != c.ok || c.ok && s.Revision != 7 {
				t.Errorf("%+v, %v", s, err)
			}
			if !slices.Equal(l.seen, c.seen) {
				t.Errorf("asked %q", l.seen)
			}
		})
	}
}

// Patience ends, and is not begun again for every question.
func TestPatienceEndsOnce(t *testing.T) {
	l := &listener{script: []reply{{503, noQuorum}}}
	c := dial(t, l, 100*time.Millisecond)
	for range 2 {
		_, err := c.PutSetting(t.Context(), settings.Routes, "x", []byte(`{}`), Absent)
		var no *Refusal
		if !errors.As(err, &no) || no.Code != "no_quorum" {
			t.Fatal(err)
		}
	}
	if len(l.seen) != 3 || l.seen[0] != "PUT * Bearer t" {
		t.Errorf("asked %q", l.seen)
	}
}

func TestConfigIsJudged(t *testing.T) {
	for _, bad := range []Config{
		{}, {Address: "a:1", Token: "x", TokenFile: "y"}, {Address: "a:1", CertFile: "x"}, {Address: "ftp://a"}, {Address: "http://u:p@a"},
		{Address: "a:1", CAFile: "/nonexistent"}, {Address: "a:1", TokenFile: "/nonexistent"}, {Address: "a:1", Patience: time.Hour},
	} {
		if _, err := New(bad); err == nil {
			t.Errorf("%+v passes", bad)
		}
	}
}

// With mutual TLS the client shows its certificate and judges the gateway's.
func TestMutualTLS(t *testing.T) {
	dir := t.TempDir()
	if err := ca.Init(dir, ca.Options{}); err != nil {
		t.Fatal(err)
	}
	files, err := ca.Issue(dir, "us", "gw-1", ca.Options{})
	if err != nil {
		t.Fatal(err)
	}
	authority, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(authority)
	s := httptest.NewUnstartedServer(&listener{script: []reply{{200, kept}}})
	s.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients, MinVersion: tls.VersionTLS12}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	trusted := filepath.Join(dir, "server.crt")
	if err := os.WriteFile(trusted, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	address := strings.TrimPrefix(s.URL, "https://")
	elsewhere := filepath.Join(dir, "elsewhere")
	if err := ca.Init(elsewhere, ca.Options{}); err != nil {
		t.Fatal(err)
	}
	strangers, err := ca.Issue(elsewhere, "us", "gw-1", ca.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		cfg  Config
		want string // "": it is let in
	}{
		"both":              {Config{Address: address, CAFile: trusted, CertFile: files.Cert, KeyFile: files.Key}, ""},
		"no certificate":    {Config{Address: address, CAFile: trusted}, "write cert_file and key_file"},
		"a stranger's":      {Config{Address: address, CAFile: trusted, CertFile: strangers.Cert, KeyFile: strangers.Key}, "does not take the certificate of cert_file"},
		"another gateway's": {Config{Address: address, CAFile: filepath.Join(dir, "ca.crt"), CertFile: files.Cert, KeyFile: files.Key}, "ca_file does not vouch"},
	} {
		c.cfg.Patience = 10 * time.Minute // which nobody waits for: certificates do not mend themselves
		client, err := New(c.cfg)
		if err != nil {
			t.Fatal(name, err)
		}
		_, err = client.Setting(t.Context(), settings.Routes, "x")
		if (err == nil) != (c.want == "") || errors.Is(err, ErrCertificate) != (err != nil) || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
