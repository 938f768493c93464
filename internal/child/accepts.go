package child

import (
	"context"
	"errors"
	"net"
	"time"
)

// Accepts waits until something accepts a connection at an address, HOST:PORT, as a process does that has no ready line.
// It returns an error that wraps ErrEnded when the process has ended first, and that of ctx when that has.
func (p *Process) Accepts(ctx context.Context, address string) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var d net.Dialer
	for {
		c, err := d.DialContext(ctx, "tcp", address)
		if err == nil {
			return c.Close()
		}
		select {
		case <-p.Done():
			return errors.Join(ErrEnded, p.Err())
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
