package admin

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/url"
	"strings"
	"testing"
)

// Who gives an order is never without a name, nor with one that is too long for it: the order would be refused.
func TestSubjects(t *testing.T) {
	spiffe := &url.URL{Scheme: "spiffe", Host: "example.com", Path: "/ops/ana"}
	for want, c := range map[string]*x509.Certificate{
		"ana":                          {Subject: pkix.Name{CommonName: "ana"}, URIs: []*url.URL{spiffe}},
		"an?":                          {Subject: pkix.Name{CommonName: "an\n"}},
		"spiffe://example.com/ops/ana": {URIs: []*url.URL{spiffe}, DNSNames: []string{"a.example.com"}},
		"ana@example.com":              {EmailAddresses: []string{"ana@example.com"}},
		"a.example.com":                {DNSNames: []string{"a.example.com"}},
		"certificate 1f":               {SerialNumber: big.NewInt(31)},
		strings.Repeat("a", 64):        {Subject: pkix.Name{CommonName: strings.Repeat("a", 90)}},
	} {
		if got := subject(c); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
