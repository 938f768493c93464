package doctor

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"syscall"
	"time"
)

const (
	noAnswer = "no answer in time"
	refused  = "connection refused: nothing listens there"
)

// request is what net/http puts before an error.
var request = regexp.MustCompile(`^[A-Z][a-z]+ "[^"]*": `)

// plainly says what went wrong without the address, which the row has already.
func plainly(err error) string {
	var name *net.DNSError
	var op *net.OpError
	switch {
	case err == nil:
		return ""
	case errors.Is(err, syscall.ECONNREFUSED), strings.HasSuffix(err.Error(), "connect: connection refused"):
		return refused
	case late(err):
		return noAnswer
	case errors.As(err, &name) && name.IsNotFound:
		return "no such host " + name.Name
	}
	if text := certificate(err); text != "" {
		return text
	}
	if errors.As(err, &op) && op.Op != "remote error" && op.Err != nil {
		return op.Op + ": " + op.Err.Error()
	}
	return request.ReplaceAllString(err.Error(), "")
}

// late reports that time has run out.
func late(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.As(err, &timeout) && timeout.Timeout()
}

// certificate says what is wrong with one that was shown; "" when err is about something else.
func certificate(err error) string {
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &unknown):
		return "its certificate is of an unknown authority"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil:
		if time.Now().Before(invalid.Cert.NotBefore) {
			return "its certificate is valid only from " + moment(invalid.Cert.NotBefore)
		}
		return "its certificate expired at " + moment(invalid.Cert.NotAfter)
	}
	return ""
}

func moment(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// list joins at most n texts.
func list(all []string, n int) string {
	if len(all) <= n {
		return strings.Join(all, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(all[:n], ", "), len(all)-n)
}
