package identity

import (
	"errors"
	"strings"
	"testing"

	"github.com/quorate/quorate/regions"
)

func TestCheckSaysWhatToWrite(t *testing.T) {
	hex64 := strings.Repeat("0a", 32)
	tests := []struct {
		id  regions.Identity
		say string // "": it is valid
	}{
		{regions.Identity{}, ""},
		{regions.Identity{TLSName: "a.search.example.com", SPIFFE: "spiffe://example.org/ns/prod/sa/search", SPKI: hex64}, ""},
		{regions.Identity{TLSName: "*.search.example.com"}, ""},
		{regions.Identity{TLSName: "*.Search_1.example"}, ""},
		{regions.Identity{TLSName: "localhost"}, ""},
		{regions.Identity{TLSName: "*"}, "DNS name"},
		{regions.Identity{TLSName: "*."}, "DNS name"},
		{regions.Identity{TLSName: "*.*.example.com"}, "DNS name"},
		{regions.Identity{TLSName: "a*.example.com"}, "DNS name"},
		{regions.Identity{TLSName: "a.*.example.com"}, "DNS name"},
		{regions.Identity{TLSName: "example.com."}, "DNS name"},
		{regions.Identity{TLSName: "-a.example.com"}, "DNS name"},
		{regions.Identity{TLSName: "127.0.0.1"}, "DNS name"},
		{regions.Identity{TLSName: "::1"}, "DNS name"},
		{regions.Identity{TLSName: "https://example.com"}, "DNS name"},
		{regions.Identity{TLSName: strings.Repeat("a", 64) + ".example.com"}, "DNS name"},
		{regions.Identity{TLSName: strings.Repeat("a.", 127) + "aa"}, "DNS name"},
		{regions.Identity{SPIFFE: "spiffe://example.org"}, ""},
		{regions.Identity{SPIFFE: "spiffe://example.org/*"}, ""},
		{regions.Identity{SPIFFE: "spiffe://example.org/ns/prod/*"}, ""},
		{regions.Identity{SPIFFE: "spiffe://"}, "spiffe://TRUST-DOMAIN"},
		{regions.Identity{SPIFFE: "spiffe:///a"}, "spiffe://TRUST-DOMAIN"},
		{regions.Identity{SPIFFE: "https://example.org/a"}, "spiffe://TRUST-DOMAIN"},
		{regions.Identity{SPIFFE: "spiffe://Example.org/a"}, "spiffe://TRUST-DOMAIN"},
		{regions.Identity{SPIFFE: "spiffe://example.org:443/a"}, "spiffe://TRUST-DOMAIN"},
		{regions.Identity{SPIFFE: "spiffe://u@example.org/a"}, "spiffe://TRUST-DOMAIN"},
		{regions.Identity{SPIFFE: "spiffe://example.org/"}, "spiffe://TRUST-DOMAIN"},
		{regions.Identity{SPIFFE: "spiffe://example.org/a//b"}, "spiffe://TRUST-DOMAIN"},
		{regions.Identity{SPIFFE: "spiffe://example.org/a/../b"}, "spiffe://TRUST-DOMAIN"},
		{regions.Identity{SPIFFE: "spiffe://example.org/a?b"}, "spiffe://TRUST-DOMAIN"},
		{regions.Identity{SPIFFE: "spiffe://example.org/a%2fb"}, "spiffe://TRUST-DOMAIN"},
		{regions.Identity{SPIFFE: "spiffe://*/a"}, "spiffe://TRUST-DOMAIN"},
		{regions.Identity{SPIFFE: "spiffe://example.org/*/a"}, "spiffe://TRUST-DOMAIN"},
		{regions.Identity{SPIFFE: "spiffe://example.org/" + strings.Repeat("a", 2048)}, "spiffe://TRUST-DOMAIN"},
		{regions.Identity{SPKI: strings.ToUpper(hex64)}, "64 hexadecimal digits"},
		{regions.Identity{SPKI: hex64[1:]}, "64 hexadecimal digits"},
		{regions.Identity{SPKI: hex64 + "00"}, "64 hexadecimal digits"},
		{regions.Identity{SPKI: strings.Repeat("g", 64)}, "64 hexadecimal digits"},
	}
	for _, test := range tests {
		err := Check(test.id)
		if test.say == "" && err != nil {
			t.Errorf("%+v: %v", test.id, err)
		}
		if test.say != "" && (!errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), test.say)) {
			t.Errorf("%+v: error %v, want one that says %q", test.id, err, test.say)
		}
		if _, tlsErr := TLS(test.id, "h", nil); (tlsErr == nil) != (err == nil) {
			t.Errorf("%+v: TLS says %v, Check says %v", test.id, tlsErr, err)
		}
	}
}

func TestServerName(t *testing.T) {
	for id, want := range map[regions.Identity]string{
		{}:                             "10.0.0.1",
		{TLSName: "a.example.com"}:     "a.example.com",
		{TLSName: "*.example.com"}:     "10.0.0.1", // of which nothing is sent
		{SPIFFE: "spiffe://example/a"}: "10.0.0.1",
	} {
		c, err := TLS(id, "10.0.0.1", nil)
		if err != nil || c.ServerName != want {
			t.Errorf("%+v: server name %q, error %v, want %q", id, c.ServerName, err, want)
		}
	}
}

func TestForNode(t *testing.T) {
	pin := regions.Identity{SPKI: strings.Repeat("00", 32)}
	tests := []struct {
		url string
		id  regions.Identity
		tls bool
		bad string
	}{
		{"http://127.0.0.1/mcp", regions.Identity{}, false, ""},
		{"https://127.0.0.1/mcp", regions.Identity{}, true, ""},
		{"https://127.0.0.1/mcp", pin, true, ""},
		{"HTTPS://127.0.0.1/mcp", pin, true, ""},
		{"http://127.0.0.1/mcp", pin, false, "needs https"},
		{"HTTP://127.0.0.1/mcp", pin, false, "needs https"},
		{"https://127.0.0.1/mcp", regions.Identity{SPKI: "x"}, false, "64 hexadecimal digits"},
		{"ftp://127.0.0.1/mcp", pin, false, "http"},
	}
	for _, test := range tests {
		c, err := ForNode(regions.Proposal{ID: "n", URL: test.url, Identity: test.id}, nil)
		if (c != nil) != test.tls || (err != nil) != (test.bad != "") || err != nil && !strings.Contains(err.Error(), test.bad) {
			t.Errorf("%s %+v: TLS %v, error %v; want TLS %v, error %q", test.url, test.id, c != nil, err, test.tls, test.bad)
		}
	}
}
