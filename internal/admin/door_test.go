package admin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestDoor(t *testing.T) {
	c := config()
	c.Token = word("s3cret")
	c.AllowedHosts = []string{"admin.example.com"}
	base := serve(t, c)
	type h = map[string]string
	tests := []struct {
		name, path string
		header     h
		want       int
	}{
		{"no credentials", "/v1/status", nil, 401},
		{"no credentials, metrics", "/metrics", nil, 401},
		{"unknown paths are not told to strangers", "/nothing", nil, 401},
		{"right token", "/v1/status", h{"Authorization": "Bearer s3cret"}, 200},
		{"scheme in another case", "/v1/status", h{"Authorization": "bearer s3cret"}, 200},
		{"unknown path, right token", "/nothing", h{"Authorization": "Bearer s3cret"}, 404},
		{"wrong token", "/v1/status", h{"Authorization": "Bearer other"}, 403},
		{"start of the token", "/v1/status", h{"Authorization": "Bearer s3cre"}, 403},
		{"empty token", "/v1/status", h{"Authorization": "Bearer "}, 403},
		{"another scheme", "/v1/status", h{"Authorization": "Basic s3cret"}, 403},
		{"liveness is open", "/livez", nil, 200},
		{"readiness is open", "/readyz", nil, 200},
		{"liveness with a wrong token", "/livez", h{"Authorization": "Bearer other"}, 200},
		{"cross-site origin", "/v1/status", h{"Authorization": "Bearer s3cret", "Origin": "https://evil.example"}, 403},
		{"cross-site origin, open path", "/livez", h{"Origin": "https://evil.example"}, 403},
		{"opaque origin", "/livez", h{"Origin": "null"}, 403},
		{"empty origin", "/livez", h{"Origin": ""}, 403},
		{"own origin", "/livez", h{"Origin": base}, 200},
		{"another port of this machine", "/livez", h{"Origin": "http://127.0.0.1:1"}, 403},
		{"own name, other scheme", "/livez", h{"Origin": "https" + base[len("http"):]}, 403},
		{"browser says cross-site", "/livez", h{"Sec-Fetch-Site": "cross-site"}, 403},
		{"browser says none", "/livez", h{"Sec-Fetch-Site": "none"}, 200},
		{"rebound name", "/livez", h{"Host": "evil.example"}, 403},
		{"rebound name with its own origin", "/livez", h{"Host": "evil.example", "Origin": "http://evil.example"}, 403},
		{"allowed name", "/livez", h{"Host": "admin.example.com:9090"}, 200},
		{"localhost", "/livez", h{"Host": "localhost:1"}, 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ask(t, "GET", base+tt.path, tt.header)
			if got.status != tt.want {
				t.Errorf("%d, want %d: %s", got.status, tt.want, got.body)
			}
			if challenge := got.header.Get("WWW-Authenticate"); (got.status == 401) != (challenge != "") {
				t.Errorf("WWW-Authenticate %q with %d", challenge, got.status)
			}
		})
	}
}

// request is one that never saw a socket, for what a loopback test cannot show.
func request(local string, state *tls.ConnectionState) *http.Request {
	r := httptest.NewRequest("GET", "/v1/status", nil)
	addr, _ := net.ResolveTCPAddr("tcp", local)
	r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(addr)))
	r.TLS = state
	return r
}

func TestCertificates(t *testing.T) {
	verified := &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{}}}, PeerCertificates: []*x509.Certificate{{}}}
	given := &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{}}}
	tests := []struct {
		name  string
		certs bool
		token Token
		state *tls.ConnectionState
		want  *refusal
	}{
		{"verified", true, nil, verified, nil},
		{"given but not verified", true, nil, given, noIdentity},
		{"none", true, nil, &tls.ConnectionState{}, noIdentity},
		{"no TLS", true, nil, nil, noIdentity},
		{"verified, certificates count for nothing", false, word("s"), verified, noIdentity},
		{"verified instead of the token", true, word("s"), verified, nil},
		{"nothing configured", false, nil, nil, nil},
	}
	for _, tt := range tests {
		d := &door{token: tt.token, certs: tt.certs}
		if got := d.check(request("10.0.0.1:9090", tt.state), false); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestHostCountsOnLoopbackOnly: a listener on a real address serves under whatever name it has.
func TestHostCountsOnLoopbackOnly(t *testing.T) {
	d := &door{}
	for local, want := range map[string]*refusal{"10.0.0.1:9090": nil, "127.0.0.1:9090": badHost, "[::1]:9090": badHost} {
		if got := d.check(request(local, nil), true); got != want { // httptest's Host is example.com
			t.Errorf("local %s: %v, want %v", local, got, want)
		}
	}
}

func TestTwoAuthorizationsAreNone(t *testing.T) {
	d := &door{token: word("s")}
	r := request("10.0.0.1:9090", nil)
	r.Header["Authorization"] = []string{"Bearer s", "Bearer x"}
	if got := d.check(r, false); got != badIdentity {
		t.Errorf("two Authorization headers: %v", got)
	}
}
