package identity

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/quorate/quorate/regions"
)

// proof is what one node is held to. It is immutable.
type proof struct {
	id      regions.Identity
	host    string // the node's own name
	address string // the host of its URL
	trust   *x509.CertPool
	pin     []byte
}

// verify is tls.Config.VerifyConnection. That the other side holds the certificate's key is TLS's to prove.
func (p *proof) verify(cs tls.ConnectionState) error {
	if len(cs.PeerCertificates) == 0 {
		return &Error{Want: "a certificate", Got: "none"}
	}
	leaf := cs.PeerCertificates[0]
	if err := p.key(leaf); err != nil {
		return err
	}
	if p.id == (regions.Identity{SPKI: p.id.SPKI}) && !p.id.None() {
		return nil // the key alone is asked for
	}
	if err := p.chain(cs.PeerCertificates); err != nil {
		return err
	}
	if p.id.SPIFFE != "" {
		if err := p.spiffe(leaf); err != nil {
			return err
		}
	}
	return p.name(leaf)
}

func (p *proof) key(leaf *x509.Certificate) error {
	sum := sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
	if p.id.SPKI == "" || subtle.ConstantTimeCompare(sum[:], p.pin) == 1 {
		return nil
	}
	return &Error{Want: "spki_sha256 " + p.id.SPKI, Got: hex.EncodeToString(sum[:])}
}

func (p *proof) chain(certs []*x509.Certificate) error {
	between := x509.NewCertPool()
	for _, c := range certs[1:] {
		between.AddCert(c)
	}
	_, err := certs[0].Verify(x509.VerifyOptions{Roots: p.trust, Intermediates: between}) // for server authentication
	if err != nil {
		return &Error{Want: "a valid certificate of a trusted authority", Got: short(err.Error()), Err: err}
	}
	return nil
}

// name holds the certificate to the name that is asked for; to the URL's host where nothing is.
func (p *proof) name(leaf *x509.Certificate) error {
	name := p.id.TLSName
	if p.id.None() {
		name = p.host
	}
	parent, wild := strings.CutPrefix(name, "*.")
	switch {
	case name == "":
		return nil
	case wild && below(leaf.DNSNames, parent):
		return nil
	case !wild && leaf.VerifyHostname(name) == nil:
		return nil
	case p.id.None() && leaf.VerifyHostname(p.address) == nil:
		return nil
	}
	return &Error{Want: fmt.Sprintf("a certificate for %q", name), Got: "one for " + named(leaf)}
}

// below reports whether any of names is parent with one label in front, be that label the wildcard.
func below(names []string, parent string) bool {
	for _, n := range names {
		label, rest, _ := strings.Cut(n, ".")
		if (label == "*" || dnsLabel(label)) && strings.EqualFold(rest, parent) {
			return true
		}
	}
	return false
}

var (
	errAuthority = errors.New("a certificate of an authority")
	errURIs      = errors.New("a certificate that has not exactly one URI name")
)

func (p *proof) spiffe(leaf *x509.Certificate) error {
	want := fmt.Sprintf("spiffe_id %q", p.id.SPIFFE)
	if leaf.IsCA || leaf.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0 {
		return &Error{Want: want, Got: errAuthority.Error(), Err: errAuthority}
	}
	if len(leaf.URIs) != 1 {
		return &Error{Want: want, Got: fmt.Sprintf("%s: %s", errURIs, named(leaf)), Err: errURIs}
	}
	got := leaf.URIs[0].String()
	prefix, all := strings.CutSuffix(p.id.SPIFFE, "*")
	if spiffeID(got) && (got == p.id.SPIFFE || all && strings.HasPrefix(got, prefix)) {
		return nil
	}
	return &Error{Want: want, Got: fmt.Sprintf("%q", short(got))}
}

// named says whom a certificate is for, for people.
func named(leaf *x509.Certificate) string {
	names := slices.Clone(leaf.DNSNames)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	for _, u := range leaf.URIs {
		names = append(names, u.String())
	}
	if len(names) == 0 {
		return "no name"
	}
	return fmt.Sprintf("%q", short(strings.Join(names[:min(len(names), 8)], ", ")))
}
