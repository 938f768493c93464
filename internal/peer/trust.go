package peer

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

var (
	// ErrSelf says that an address of another gateway leads to this gateway.
	ErrSelf = errors.New("this address is this gateway itself")
	// ErrTwin says that another gateway has this gateway's name.
	ErrTwin = errors.New("another gateway uses this gateway's name")
	// ErrRegion says that the gateway at an address is of another region than the configuration says.
	ErrRegion = errors.New("wrong region")
	// errMoved: an address leads to another gateway than before.
	errMoved = errors.New("another gateway")
	// errExpired: a certificate that was good when its connection began has ended.
	errExpired = errors.New("certificate expired")
)

// trust is the certificate chain that the other side of a connection has shown. It was verified during
// the handshake; it is verified again when the fleet's authorities may have changed, and it ends.
type trust struct {
	credentials *Credentials
	chain       []*x509.Certificate
	use         x509.ExtKeyUsage // of the other side's certificate
	identity    Identity
	began       uint64        // generation of our own credentials in the handshake
	verified    atomic.Uint64 // generation that the chain was verified against
}

// trusted returns the trust of a finished handshake.
func trusted(c *Credentials, s tls.ConnectionState, use x509.ExtKeyUsage, generation uint64) (*trust, error) {
	if len(s.PeerCertificates) == 0 {
		return nil, ErrIdentity
	}
	id, err := IdentityOf(s.PeerCertificates[0])
	if err != nil {
		return nil, err
	}
	t := &trust{credentials: c, chain: s.PeerCertificates, use: use, identity: id, began: generation}
	t.verified.Store(generation)
	return t, nil
}

// check returns why the other side must not be believed any longer, nil while it may.
func (t *trust) check(now time.Time) error {
	if now.After(t.chain[0].NotAfter) {
		return fmt.Errorf("%w at %s", errExpired, t.chain[0].NotAfter.UTC().Format(time.RFC3339))
	}
	m := t.credentials.get()
	if m.generation == t.verified.Load() {
		return nil
	}
	if err := m.verify(t.chain, t.use, now); err != nil {
		return err
	}
	t.verified.Store(m.generation)
	return nil
}

// renewed reports whether this gateway has newer credentials than it showed when the connection began.
func (t *trust) renewed() bool { return t.credentials.get().generation != t.began }

// serverTLS accepts gateways of the fleet.
func (p *Peers) serverTLS(m *material) *tls.Config {
	protocols := []string{protocolLink, protocolForward}
	if p.streams.wanted() {
		protocols = append(protocols, protocolStream)
	}
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		NextProtos:             protocols,
		Certificates:           []tls.Certificate{m.cert},
		ClientAuth:             tls.RequireAndVerifyClientCert,
		ClientCAs:              m.authority,
		SessionTicketsDisabled: true, // every connection shows its certificate
		VerifyConnection: func(s tls.ConnectionState) error {
			_, err := IdentityOf(s.PeerCertificates[0])
			return err
		},
	}
}

// clientTLS connects to the gateway that is wanted; a region or name that is "" may be any. Addresses are
// whatever leads there, so it is the name in the certificate that counts, not the host.
func (p *Peers) clientTLS(m *material, want Identity, protocol string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		NextProtos: []string{protocol},
		// Always this one: a server that trusts other authorities shall say so.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &m.cert, nil },
		InsecureSkipVerify:   true, // VerifyConnection verifies, without the host name
		VerifyConnection:     func(s tls.ConnectionState) error { return p.expected(m, s, want) },
	}
}

// expected checks that a server is the gateway that is wanted.
func (p *Peers) expected(m *material, s tls.ConnectionState, want Identity) error {
	if err := m.verify(s.PeerCertificates, x509.ExtKeyUsageServerAuth, time.Now()); err != nil {
		return err
	}
	id, err := IdentityOf(s.PeerCertificates[0])
	if err != nil {
		return err
	}
	if want.Region != "" && id.Region != want.Region {
		return fmt.Errorf("%w: the gateway here is %s of region %s, not of %s", ErrRegion, id.Gateway, id.Region, want.Region)
	}
	if want.Gateway != "" && id.Gateway != want.Gateway {
		return fmt.Errorf("%w: the gateway here is %s, not %s", errMoved, id.Gateway, want.Gateway)
	}
	return nil
}
