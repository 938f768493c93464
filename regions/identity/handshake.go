package identity

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
)

// Handshake makes TLS of raw, by a configuration of TLS, and closes raw if it cannot. What it returns is proven.
//
// An error that is ErrIdentity says that the other side has answered and is not the node: it has shown another
// certificate, a copy of the right one without its key, or something that is no TLS. A line that broke, a timeout
// and a handshake that the other side refused by an alert are errors too and prove nothing.
func Handshake(ctx context.Context, raw net.Conn, c *tls.Config) (*tls.Conn, error) {
	secure := tls.Client(raw, c)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, judged(err)
	}
	return secure, nil
}

// judged makes a failed proof of an error that only what the other side has said can have led to. Package tls has
// no types for most of those: a signature that does not fit the certificate is a bare text.
func judged(err error) error {
	line, _ := errors.AsType[net.Error](err) // also an alert, and the end of ctx
	switch {
	case errors.Is(err, ErrIdentity), line != nil:
		return err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.ErrClosedPipe), errors.Is(err, net.ErrClosed), errors.Is(err, context.Canceled):
		return err
	}
	return &Error{Want: "a TLS handshake with the key of the certificate", Got: short(err.Error()), Err: err}
}
