package peer

import (
	"context"
	"fmt"
	"time"
)

// Examination is what another gateway showed when it was asked once who it is.
type Examination struct {
	Identity Identity // by its certificate, which this gateway's authorities vouch for
	Version  string   // of its build
	// Issued and Expires are the times between which its certificate is valid.
	Issued, Expires time.Time
	Took            time.Duration // until its hello
}

// Examine dials a gateway (without a region: whichever is there), proves this one's identity, says hello as a probe and hangs up, all within ctx. Beside
// network and TLS errors, its own are ErrRegion, ErrSelf, ErrTwin, ErrVersion, ErrIdentity and ErrFrame.
func Examine(ctx context.Context, c *Credentials, to Remote, version string) (Examination, error) {
	began := time.Now()
	until, limited := ctx.Deadline()
	if !limited {
		until = began.Add(handshake)
	}
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	me := c.Identity()
	p := &Peers{cfg: Config{Credentials: c}, identity: me, hello: newHello(me, version)}
	m, err := (&remote{p: p, to: to}).meet(ctx, protocolLink, true)
	if err != nil {
		return Examination{}, fmt.Errorf("peer: examine: %w", err)
	}
	_ = m.conn.NetConn().Close()
	return Examination{
		Identity: m.trust.identity, Version: printable(m.theirs.Version),
		Issued: m.trust.chain[0].NotBefore, Expires: m.trust.chain[0].NotAfter, Took: time.Since(began),
	}, nil
}

// Validity returns the times between which the certificate in use is valid.
func (c *Credentials) Validity() (from, until time.Time) {
	leaf := c.get().leaf
	return leaf.NotBefore, leaf.NotAfter
}
