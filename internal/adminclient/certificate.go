package adminclient

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
)

// ErrCertificate says that client and gateway do not take each other's certificates. Nothing was asked, and asking again
// does not help.
var ErrCertificate = errors.New("certificates")

// certificate explains an error that certificates are the cause of, by the attribute that is missing or wrong; nil for
// any other. A gateway that refuses one says so by an alert of TLS, whose type crypto/tls keeps to itself.
func (c *Client) certificate(err error) error {
	var unverified *tls.CertificateVerificationError
	if errors.As(err, &unverified) {
		return fmt.Errorf("%w: ca_file does not vouch for the gateway at %s: %w", ErrCertificate, c.base, err)
	}
	var alert *net.OpError
	if !errors.As(err, &alert) || alert.Op != "remote error" || !strings.Contains(alert.Err.Error(), "certificate") {
		return nil
	}
	if !c.certified {
		return fmt.Errorf("%w: the gateway at %s asks for a client certificate; write cert_file and key_file: %w", ErrCertificate, c.base, err)
	}
	return fmt.Errorf("%w: the gateway at %s does not take the certificate of cert_file: %w", ErrCertificate, c.base, err)
}
