// Package identity holds a node to what it must prove by its TLS certificate before it is sent a byte. It must
// not know where the identity comes from, what a connection is for, nor what follows from a proof that failed.
package identity

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"github.com/quorate/quorate/regions"
)

// TLS returns the client configuration that holds a node at host (its own name, or its URL's, without port) to id. Its
// authorities are those of trust, or the system's for nil. The error says what is wrong with id's values.
//
// Everything that is set must hold:
//
//   - SPKI: the certificate's key is the one that is pinned. Alone it asks no authority, and so neither for
//     names nor for a validity that has passed, which are an authority's word: the key is the identity (as with
//     DANE-EE, RFC 7671 section 5.1).
//   - TLSName: a trusted authority has issued the certificate for that name (RFC 9525). "*.example.com" takes a
//     certificate for any name of one more label, or for the wildcard itself; host does not matter then. The
//     subject's common name never counts.
//   - SPIFFE: the certificate is an X.509-SVID (SPIFFE X.509-SVID section 5.2): a trusted authority has issued it, it
//     is no authority itself, and its only URI name is the id. An id that ends in "/*" takes every id below it.
//     Which trust domains an authority may speak for is not looked at: trust must hold only those that may.
//
// An id that asks for nothing is held to host, as net/http does; a node with a name of its own to that or to its address.
//
// TLS is 1.2 or later. Sessions are never resumed; where a caller adds a cache for them, a resumed one is held to
// all of the above too. Connections must be made by Handshake, which tells a failed proof from a broken line.
func TLS(id regions.Identity, host string, trust *x509.CertPool) (*tls.Config, error) {
	return hold(id, host, host, trust)
}

// hold is TLS for a node that goes by a name and is reached at an address, be it the same.
func hold(id regions.Identity, host, address string, trust *x509.CertPool) (*tls.Config, error) {
	if err := Check(id); err != nil {
		return nil, err
	}
	p := &proof{id: id, host: host, address: address, trust: trust}
	p.pin, _ = hex.DecodeString(id.SPKI) // Check has done so already
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         p.serverName(),
		RootCAs:            trust,
		InsecureSkipVerify: true, // verify does all of it, on every connection
		VerifyConnection:   p.verify,
	}, nil
}

// ForNode returns TLS for a proposed node, nil for one that is reached without it. A node that has to prove an
// identity and cannot, since its URL is not https, is an error.
func ForNode(n regions.Proposal, trust *x509.CertPool) (*tls.Config, error) {
	if err := regions.CheckProposal(n); err != nil {
		return nil, err
	}
	u, err := url.Parse(n.URL)
	if err != nil {
		return nil, fmt.Errorf("identity: node %q: url cannot be parsed", n.ID)
	}
	if u.Scheme != "https" {
		return nil, nil //nolint:nilnil // http needs no configuration
	}
	c, err := hold(n.Identity, cmp.Or(n.Host, u.Hostname()), u.Hostname(), trust)
	if err != nil {
		return nil, fmt.Errorf("node %q: %w", n.ID, err)
	}
	return c, nil
}

// serverName is what the node is asked for (SNI, RFC 6066 section 3), for those that hold several certificates.
// A pattern is no name; then, as for a SPIFFE id or a key, it is asked for as the URL does.
func (p *proof) serverName() string {
	if n := p.id.TLSName; n != "" && !strings.HasPrefix(n, "*.") {
		return n
	}
	return p.host
}

// Check reports the values of an identity that mean nothing, and what to write.
func Check(id regions.Identity) error {
	switch {
	case id.TLSName != "" && !dnsName(strings.TrimPrefix(id.TLSName, "*.")):
		return fmt.Errorf("%w: tls_name %q: write a DNS name such as a.search.example.com, or *.search.example.com for every name of one more label", ErrInvalid, short(id.TLSName))
	case id.SPIFFE != "" && !spiffeID(strings.TrimSuffix(id.SPIFFE, "/*")):
		return fmt.Errorf("%w: spiffe_id %q: write spiffe://TRUST-DOMAIN/PATH, or spiffe://TRUST-DOMAIN/* for every id below it", ErrInvalid, short(id.SPIFFE))
	case id.SPKI != "" && !digest(id.SPKI):
		return fmt.Errorf("%w: spki_sha256 %q: write 64 hexadecimal digits in lower case, as of: openssl x509 -in node.crt -noout -pubkey | openssl pkey -pubin -outform der | sha256sum", ErrInvalid, short(id.SPKI))
	}
	return nil
}

// dnsName reports a host name in ASCII: labels of letters, digits, hyphens and underscores.
func dnsName(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if !dnsLabel(label) {
			return false
		}
	}
	return true
}

func dnsLabel(s string) bool {
	return s != "" && len(s) <= 63 && s[0] != '-' && s[len(s)-1] != '-' && only(s, lower+upper+digits+"-_")
}

// spiffeID reports an id as SPIFFE-ID section 2 has it; without a path it is a trust domain's own.
func spiffeID(s string) bool {
	rest, ok := strings.CutPrefix(s, "spiffe://")
	domain, path, hasPath := strings.Cut(rest, "/")
	if !ok || len(s) > 2048 || domain == "" || len(domain) > 255 || !only(domain, lower+digits+".-_") {
		return false
	}
	if !hasPath {
		return true
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "" || segment == "." || segment == ".." || !only(segment, lower+upper+digits+".-_") {
			return false
		}
	}
	return true
}

func digest(s string) bool { return len(s) == 64 && only(s, "0123456789abcdef") }

const (
	lower  = "abcdefghijklmnopqrstuvwxyz"
	upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits = "0123456789"
)

func only(s, alphabet string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return !strings.ContainsRune(alphabet, r) }) < 0
}
