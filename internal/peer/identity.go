package peer

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// ErrIdentity says that a certificate does not say which gateway its holder is.
var ErrIdentity = errors.New("peer: certificate names no gateway")

const (
	identityScheme = "quorate"
	identityHost   = "gateway"
	maxName        = 128 // bytes of a region's or gateway's name
)

// Identity is who a certificate says its holder is: one of its subject alternative names is the URI
// quorate://gateway/REGION/NAME. Names are 1 to 128 bytes without slashes, spaces and control characters.
type Identity struct{ Region, Gateway string }

// String returns REGION/NAME.
func (i Identity) String() string { return i.Region + "/" + i.Gateway }

// URI returns the name as certificates carry it.
func (i Identity) URI() *url.URL {
	return &url.URL{Scheme: identityScheme, Host: identityHost, Path: "/" + i.Region + "/" + i.Gateway}
}

// Validate returns an error wrapping ErrIdentity when a name is empty, too long or has characters that
// names must not have.
func (i Identity) Validate() error {
	for _, name := range [...]string{i.Region, i.Gateway} {
		if name == "" || len(name) > maxName || strings.ContainsFunc(name, unfit) {
			return fmt.Errorf("%w: %q is no name of a region or gateway", ErrIdentity, name)
		}
	}
	return nil
}

// unfit reports what would be ambiguous in a URI's path, a header or a log line.
func unfit(r rune) bool { return r <= ' ' || r == '/' || r == ',' || r == 0x7f || r > 0x7e }

// IdentityOf returns whose certificate it is. Exactly one of its URIs may be of Quorate's scheme; others
// (SPIFFE's, say) are left alone. The error wraps ErrIdentity.
func IdentityOf(c *x509.Certificate) (Identity, error) {
	var found []*url.URL
	for _, u := range c.URIs {
		if u.Scheme == identityScheme {
			found = append(found, u)
		}
	}
	if len(found) != 1 {
		return Identity{}, fmt.Errorf("%w: %d names of the form quorate://gateway/REGION/NAME, want one", ErrIdentity, len(found))
	}
	u := found[0]
	region, name, ok := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	id := Identity{Region: region, Gateway: name}
	if !ok || u.Host != identityHost || u.Opaque != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return Identity{}, fmt.Errorf("%w: %s is not of the form quorate://gateway/REGION/NAME", ErrIdentity, u.Redacted())
	}
	return id, id.Validate()
}
