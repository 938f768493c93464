package identity

import (
	"crypto"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/identity/identitytest"
)

// versions are those of TLS that nodes may speak.
var versions = []uint16{tls.VersionTLS12, tls.VersionTLS13}

const (
	search = "search.example.com"
	id     = "spiffe://example.org/ns/prod/sa/search"
)

func TestProofs(t *testing.T) {
	trusted, other := identitytest.NewAuthority(t, "trusted"), identitytest.NewAuthority(t, "other")
	key := identitytest.NewKey(t)
	pin := identitytest.Pin(trusted.Issue(t, identitytest.Leaf{Key: key}))
	tests := []struct {
		name string
		by   *identitytest.Authority
		leaf identitytest.Leaf
		id   regions.Identity
		want string // part of the error; "": it is proven
	}{
		{"right name", trusted, identitytest.Leaf{DNS: []string{"a." + search}}, regions.Identity{TLSName: "a." + search}, ""},
		{"right name in capitals", trusted, identitytest.Leaf{DNS: []string{"a." + search}}, regions.Identity{TLSName: "A." + search}, ""},
		{"one of two names", trusted, identitytest.Leaf{DNS: []string{"b." + search, "a." + search}}, regions.Identity{TLSName: "a." + search}, ""},
		{"wildcard certificate", trusted, identitytest.Leaf{DNS: []string{"*." + search}}, regions.Identity{TLSName: "a." + search}, ""},
		{"wrong name", trusted, identitytest.Leaf{DNS: []string{"b." + search}}, regions.Identity{TLSName: "a." + search}, `want a certificate for "a.search.example.com", got one for "b.search.example.com"`},
		{"the URL's host is no name", trusted, identitytest.Leaf{IPs: loopback()}, regions.Identity{TLSName: "a." + search}, `got one for "127.0.0.1"`},
		{"only a common name", trusted, identitytest.Leaf{CN: "a." + search}, regions.Identity{TLSName: "a." + search}, "got one for no name"},
		{"right name, other authority", other, identitytest.Leaf{DNS: []string{"a." + search}}, regions.Identity{TLSName: "a." + search}, "unknown authority"},
		{"right name, expired", trusted, identitytest.Leaf{DNS: []string{"a." + search}, Expired: true}, regions.Identity{TLSName: "a." + search}, "expired"},
		{"right name, for clients", trusted, identitytest.Leaf{DNS: []string{"a." + search}, Client: true}, regions.Identity{TLSName: "a." + search}, "key usage"},

		{"pattern, a name below", trusted, identitytest.Leaf{DNS: []string{"a." + search}}, regions.Identity{TLSName: "*." + search}, ""},
		{"pattern, in capitals", trusted, identitytest.Leaf{DNS: []string{"A.Search.Example.COM"}}, regions.Identity{TLSName: "*." + search}, ""},
		{"pattern, the wildcard", trusted, identitytest.Leaf{DNS: []string{"*." + search}}, regions.Identity{TLSName: "*." + search}, ""},
		{"pattern, two labels", trusted, identitytest.Leaf{DNS: []string{"b.a." + search}}, regions.Identity{TLSName: "*." + search}, `"b.a.search.example.com"`},
		{"pattern, a wildcard below", trusted, identitytest.Leaf{DNS: []string{"*.a." + search}}, regions.Identity{TLSName: "*." + search}, "want a certificate"},
		{"pattern, a wildcard above", trusted, identitytest.Leaf{DNS: []string{"*.example.com"}}, regions.Identity{TLSName: "*." + search}, "want a certificate"},
		{"pattern, the parent", trusted, identitytest.Leaf{DNS: []string{search}}, regions.Identity{TLSName: "*." + search}, "want a certificate"},
		{"pattern, another ending", trusted, identitytest.Leaf{DNS: []string{"a.re" + search}}, regions.Identity{TLSName: "*." + search}, "want a certificate"},
		{"pattern, half a wildcard", trusted, identitytest.Leaf{DNS: []string{"a*." + search}}, regions.Identity{TLSName: "*." + search}, "want a certificate"},
		{"pattern, only a common name", trusted, identitytest.Leaf{CN: "a." + search}, regions.Identity{TLSName: "*." + search}, "no name"},
		{"pattern, other authority", other, identitytest.Leaf{DNS: []string{"a." + search}}, regions.Identity{TLSName: "*." + search}, "unknown authority"},

		{"id", trusted, identitytest.Leaf{URIs: []string{id}}, regions.Identity{SPIFFE: id}, ""},
		{"wrong id", trusted, identitytest.Leaf{URIs: []string{id + "2"}}, regions.Identity{SPIFFE: id}, fmt.Sprintf("want spiffe_id %q, got %q", id, id+"2")},
		{"two ids", trusted, identitytest.Leaf{URIs: []string{id, id + "2"}}, regions.Identity{SPIFFE: id}, "not exactly one"},
		{"no id", trusted, identitytest.Leaf{DNS: []string{search}}, regions.Identity{SPIFFE: id}, "not exactly one"},
		{"id, other authority", other, identitytest.Leaf{URIs: []string{id}}, regions.Identity{SPIFFE: id}, "unknown authority"},
		{"id, expired", trusted, identitytest.Leaf{URIs: []string{id}, Expired: true}, regions.Identity{SPIFFE: id}, "expired"},
		{"id of an authority", trusted, identitytest.Leaf{URIs: []string{id}, CA: true}, regions.Identity{SPIFFE: id}, "certificate of an authority"},
		{"id below", trusted, identitytest.Leaf{URIs: []string{id}}, regions.Identity{SPIFFE: "spiffe://example.org/*"}, ""},
		{"id below a path", trusted, identitytest.Leaf{URIs: []string{id}}, regions.Identity{SPIFFE: "spiffe://example.org/ns/prod/*"}, ""},
		{"id above", trusted, identitytest.Leaf{URIs: []string{"spiffe://example.org/ns/prod"}}, regions.Identity{SPIFFE: "spiffe://example.org/ns/prod/*"}, "got"},
		{"id beside", trusted, identitytest.Leaf{URIs: []string{"spiffe://example.org/ns/production/a"}}, regions.Identity{SPIFFE: "spiffe://example.org/ns/prod/*"}, "got"},
		{"id of another domain", trusted, identitytest.Leaf{URIs: []string{"spiffe://example.org.evil/a"}}, regions.Identity{SPIFFE: "spiffe://example.org/*"}, "got"},
		{"id that climbs", trusted, identitytest.Leaf{URIs: []string{"spiffe://example.org/ns/prod/../dev/a"}}, regions.Identity{SPIFFE: "spiffe://example.org/ns/prod/*"}, "got"},
		{"id with a query", trusted, identitytest.Leaf{URIs: []string{id + "?a"}}, regions.Identity{SPIFFE: "spiffe://example.org/*"}, "got"},

		{"key", trusted, identitytest.Leaf{Key: key}, regions.Identity{SPKI: pin}, ""},
		{"key, no authority asked", other, identitytest.Leaf{Key: key}, regions.Identity{SPKI: pin}, ""},
		{"key, expired", other, identitytest.Leaf{Key: key, Expired: true}, regions.Identity{SPKI: pin}, ""},
		{"wrong key", trusted, identitytest.Leaf{}, regions.Identity{SPKI: pin}, "want spki_sha256 " + pin + ", got "},
		{"right name, wrong key", trusted, identitytest.Leaf{DNS: []string{search}}, regions.Identity{TLSName: search, SPKI: pin}, "want spki_sha256"},
		{"right key, wrong name", trusted, identitytest.Leaf{Key: key, DNS: []string{"evil.example.com"}}, regions.Identity{TLSName: search, SPKI: pin}, "want a certificate for"},
		{"right key and name, other authority", other, identitytest.Leaf{Key: key, DNS: []string{search}}, regions.Identity{TLSName: search, SPKI: pin}, "unknown authority"},
		{"right key and name, expired", trusted, identitytest.Leaf{Key: key, DNS: []string{search}, Expired: true}, regions.Identity{TLSName: search, SPKI: pin}, "expired"},
		{"right key and name", trusted, identitytest.Leaf{Key: key, DNS: []string{search}}, regions.Identity{TLSName: search, SPKI: pin}, ""},
		{"all three", trusted, identitytest.Leaf{Key: key, DNS: []string{search}, URIs: []string{id}}, regions.Identity{TLSName: search, SPIFFE: id, SPKI: pin}, ""},
		{"right id, wrong name", trusted, identitytest.Leaf{DNS: []string{"b." + search}, URIs: []string{id}}, regions.Identity{TLSName: "a." + search, SPIFFE: id}, "want a certificate for"},
		{"right name, wrong id", trusted, identitytest.Leaf{DNS: []string{search}, URIs: []string{id + "2"}}, regions.Identity{TLSName: search, SPIFFE: id}, "want spiffe_id"},

		{"none, the URL's host", trusted, identitytest.Leaf{IPs: loopback()}, regions.Identity{}, ""},
		{"none, another host", trusted, identitytest.Leaf{DNS: []string{search}}, regions.Identity{}, `want a certificate for "127.0.0.1"`},
		{"none, other authority", other, identitytest.Leaf{IPs: loopback()}, regions.Identity{}, "unknown authority"},
		{"none, expired", trusted, identitytest.Leaf{IPs: loopback(), Expired: true}, regions.Identity{}, "expired"},
	}
	for _, test := range tests {
		for _, v := range versions {
			t.Run(fmt.Sprintf("%s/%s", test.name, tls.VersionName(v)), func(t *testing.T) {
				s := serve(t, &tls.Config{Certificates: []tls.Certificate{test.by.Issue(t, test.leaf)}, MinVersion: v, MaxVersion: v})
				err := s.connect(t, config(t, test.id, trusted))
				wantProof(t, s, err, test.want)
			})
		}
	}
}

func loopback() []net.IP { return []net.IP{net.IPv4(127, 0, 0, 1)} }

func config(t *testing.T, id regions.Identity, trust *identitytest.Authority) *tls.Config {
	t.Helper()
	c, err := TLS(id, "127.0.0.1", trust.Pool())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// wantProof checks that a connection was proven, or that its error is typed, says want, and cost no byte.
func wantProof(t *testing.T, s *server, err error, want string) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Errorf("not proven: %v", err)
		}
		if n := s.Received(); n == 0 {
			t.Error("nothing was sent to a node that is proven")
		}
		return
	}
	var typed *Error
	if !errors.Is(err, ErrIdentity) || !errors.As(err, &typed) || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want ErrIdentity that says %q", err, want)
	}
	if err != nil && len(err.Error()) > 1024 {
		t.Errorf("an error of %d bytes", len(err.Error()))
	}
	if n := s.Received(); n != 0 {
		t.Errorf("%d bytes were sent to an impostor", n)
	}
}

// keyless signs with a key of its own for a certificate whose key it does not have: certificates are public.
type keyless struct {
	crypto.Signer
	claims crypto.PublicKey
}

func (k keyless) Public() crypto.PublicKey { return k.claims }

func TestCopyOfTheCertificateIsNoProof(t *testing.T) {
	trusted := identitytest.NewAuthority(t, "trusted")
	right := trusted.Issue(t, identitytest.Leaf{DNS: []string{search}})
	stolen := right
	stolen.PrivateKey = keyless{identitytest.NewKey(t), right.Leaf.PublicKey}
	for _, v := range versions {
		for _, want := range []regions.Identity{{SPKI: identitytest.Pin(right)}, {TLSName: search}} {
			s := serve(t, &tls.Config{Certificates: []tls.Certificate{stolen}, MinVersion: v, MaxVersion: v})
			wantProof(t, s, s.connect(t, config(t, want, trusted)), "want a TLS handshake with the key of the certificate, got tls: invalid signature")
		}
	}
}

func TestIntermediateAuthority(t *testing.T) {
	root := identitytest.NewAuthority(t, "root")
	between := root.Below(t, "between")
	cert := between.Issue(t, identitytest.Leaf{DNS: []string{search}})
	s := serve(t, &tls.Config{Certificates: []tls.Certificate{cert}})
	wantProof(t, s, s.connect(t, config(t, regions.Identity{TLSName: search}, root)), "unknown authority")
	cert.Certificate = append(cert.Certificate, between.Cert().Raw)
	s = serve(t, &tls.Config{Certificates: []tls.Certificate{cert}})
	wantProof(t, s, s.connect(t, config(t, regions.Identity{TLSName: search}, root)), "")
}

func TestOldTLSIsNoProof(t *testing.T) {
	trusted := identitytest.NewAuthority(t, "trusted")
	s := serve(t, &tls.Config{Certificates: []tls.Certificate{trusted.Issue(t, identitytest.Leaf{DNS: []string{search}})}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	if err := s.connect(t, config(t, regions.Identity{TLSName: search}, trusted)); err == nil || s.Received() != 0 {
		t.Errorf("error %v, %d bytes received", err, s.Received())
	}
}

// A line that breaks, or is silent, proves nothing about who is there.
func TestBrokenLineIsNoImpostor(t *testing.T) {
	near, far := net.Pipe()
	far.Close()
	if _, err := Handshake(t.Context(), near, config(t, regions.Identity{TLSName: search}, identitytest.NewAuthority(t, "a"))); err == nil || errors.Is(err, ErrIdentity) {
		t.Errorf("closed line: %v", err)
	}
	near, far = net.Pipe()
	defer far.Close()
	if err := near.SetDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := Handshake(t.Context(), near, config(t, regions.Identity{TLSName: search}, identitytest.NewAuthority(t, "a"))); err == nil || errors.Is(err, ErrIdentity) {
		t.Errorf("silent line: %v", err)
	}
	s := serve(t, &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, errors.New("none") }})
	if err := s.connect(t, config(t, regions.Identity{TLSName: search}, identitytest.NewAuthority(t, "a"))); err == nil || errors.Is(err, ErrIdentity) {
		t.Errorf("alert: %v", err)
	}
}

func TestPlainServerIsAnImpostor(t *testing.T) {
	near, far := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer far.Close()
		_, _ = far.Read(make([]byte, 4096))
		_, _ = far.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
	}()
	if _, err := Handshake(t.Context(), near, config(t, regions.Identity{TLSName: search}, identitytest.NewAuthority(t, "a"))); !errors.Is(err, ErrIdentity) {
		t.Errorf("plain HTTP: %v", err)
	}
	<-done
}

func TestServerNameIsSent(t *testing.T) {
	trusted := identitytest.NewAuthority(t, "trusted")
	cert := trusted.Issue(t, identitytest.Leaf{DNS: []string{"a." + search}})
	for name, sent := range map[string]string{"a." + search: "a." + search, "*." + search: ""} {
		s := serve(t, &tls.Config{Certificates: []tls.Certificate{cert}})
		if err := s.connect(t, config(t, regions.Identity{TLSName: name}, trusted)); err != nil {
			t.Fatal(err)
		}
		if got := <-s.names; got != sent {
			t.Errorf("%s: asked for %q, want %q", name, got, sent)
		}
	}
}

// A node that was found by name, and has nothing else to prove, is held to that name or to its address.
func TestNodeWithAName(t *testing.T) {
	a := identitytest.NewAuthority(t, "one")
	for name, tc := range map[string]struct {
		leaf identitytest.Leaf
		good bool
	}{
		"its name":     {identitytest.Leaf{DNS: []string{"n1.example.com"}}, true},
		"its address":  {identitytest.Leaf{IPs: []net.IP{net.IPv4(127, 0, 0, 1)}}, true},
		"another name": {identitytest.Leaf{DNS: []string{"n2.example.com"}}, false},
	} {
		s := serve(t, &tls.Config{Certificates: []tls.Certificate{a.Issue(t, tc.leaf)}})
		cfg, err := ForNode(regions.Proposal{ID: "n", URL: "https://" + s.Address() + "/mcp", Host: "n1.example.com"}, a.Pool())
		if err != nil {
			t.Fatal(err)
		}
		if err := s.connect(t, cfg); (err == nil) != tc.good || !tc.good && !errors.Is(err, ErrIdentity) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
