package peer

import (
	"context"
	"crypto/tls"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/ca"
)

// Several may ask at once for a gateway to which there is no link; all of them get the answer.
func TestAliveAskedAtOnce(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	cert := f.pair(t, "south", "c", ca.Options{})
	address := rawServer(t, rawTLS(&cert, protocolLink), func(c *tls.Conn) {
		h, err := readHello(c)
		if err == nil && h.Probe {
			_, _ = c.Write(rawHello(t, "south", "c", nil))
			_, _ = until(c, frameGoodbye) // or the end
		}
	})
	a := start(t, f.credentials(t, f.issue(t, "east", "a", ca.Options{})), "", nil)
	a.dial(t, Remote{Region: "south", Address: address})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	answers := make(chan error, 4)
	for range cap(answers) {
		go func() { answers <- a.Alive(ctx, "south", address) }()
	}
	for range cap(answers) {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
}
