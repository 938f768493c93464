package dns

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	miekg "github.com/miekg/dns"
)

// datagram asks over UDP. again says why the question has to be asked over TCP; it is "" when it need not.
func (t *talk) datagram(ctx context.Context, q question, packet []byte) (reply *miekg.Msg, again string, err error) {
	raw, err := t.exchange(ctx, packet)
	if err != nil {
		return nil, "", err
	}
	if len(raw) > maxUDP {
		return nil, "asked over TCP: its UDP reply is larger than allowed", nil
	}
	reply, err = q.open(raw)
	switch {
	case errors.Is(err, errCase):
		return nil, "asked over TCP: wrong case over UDP", nil
	case errors.Is(err, errMismatch):
		return nil, "asked over TCP: a UDP reply to another question", nil
	case err != nil:
		return nil, "asked over TCP: a UDP reply that cannot be read", nil
	case reply.Truncated:
		return nil, "asked over TCP: too long for UDP", nil
	}
	return reply, "", nil
}

// exchange sends one datagram from a new socket and returns the first that comes back, of maxUDP+1 bytes at most.
func (t *talk) exchange(ctx context.Context, packet []byte) ([]byte, error) {
	conn, err := t.cfg.dial(ctx, "udp", t.r.addr.String())
	if err != nil {
		return nil, wireError(err)
	}
	defer conn.Close()
	defer t.limit(ctx, conn)()
	if _, err := conn.Write(packet); err != nil {
		return nil, wireError(err)
	}
	buf := make([]byte, maxUDP+1)
	n, err := conn.Read(buf)
	return buf[:n], wireError(err)
}

// limit gives conn Config.Timeout from now, and not beyond ctx. The returned function ends the watch of ctx.
func (t *talk) limit(ctx context.Context, conn net.Conn) func() {
	_ = conn.SetDeadline(time.Now().Add(t.cfg.Timeout))
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	return func() { stop() }
}

// stream asks over TCP or TLS, over an idle connection where there is one. A resolver may have closed that one
// meanwhile (RFC 7766 section 6.2.3), which is no fault: it is asked again over a new one.
func (t *talk) stream(ctx context.Context, packet []byte) ([]byte, error) {
	if conn := t.takeIdle(); conn != nil {
		if raw, err := t.over(ctx, conn, packet); err == nil {
			return raw, nil
		}
	}
	conn, err := t.connect(ctx)
	if err != nil {
		return nil, wireError(err)
	}
	return t.over(ctx, conn, packet)
}

func (t *talk) takeIdle() net.Conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.idle) == 0 {
		return nil
	}
	conn := t.idle[len(t.idle)-1]
	t.idle = t.idle[:len(t.idle)-1]
	return conn
}

func (t *talk) connect(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, t.cfg.Timeout)
	defer cancel()
	conn, err := t.cfg.dial(ctx, "tcp", t.r.addr.String())
	if err != nil || t.r.tls == nil {
		return conn, err
	}
	secured := tls.Client(conn, t.r.tls)
	if err := secured.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return secured, nil
}

// over sends a query on a stream, each message after its length in two bytes (RFC 1035 section 4.2.2), and keeps the
// stream if all went well.
func (t *talk) over(ctx context.Context, conn net.Conn, packet []byte) ([]byte, error) {
	raw, err := func() ([]byte, error) {
		defer t.limit(ctx, conn)()
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(packet))), packet...)); err != nil {
			return nil, err
		}
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return nil, err
		}
		raw := make([]byte, binary.BigEndian.Uint16(size[:]))
		_, err := io.ReadFull(conn, raw)
		return raw, err
	}()
	if err != nil {
		conn.Close()
		return nil, wireError(err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.idle = append(t.idle, conn)
	return raw, nil
}

// wireError says in few words what went wrong: the resolver's address is known to the reader.
func wireError(err error) error {
	var timeout net.Error
	var cert *tls.CertificateVerificationError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("no reply in time: %w", err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nothing listens: %w", err)
	case errors.As(err, &cert):
		return fmt.Errorf("its certificate is refused: %w", err)
	}
	return fmt.Errorf("no reply: %w", err)
}
