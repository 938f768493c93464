package verify

import (
	"context"
	"errors"
	"time"

	"github.com/quorate/quorate/regions"
)

// Examination is what one good check of a node showed.
type Examination struct {
	Facts   regions.Facts
	Latency time.Duration // of the last round trip
}

// parting bounds what an examination still does after its end: the DELETE of the session that it opened.
const parting = 300 * time.Millisecond

// Examine checks a node once, as a Tracker of cfg does for its first check, within Config.Timeout and ctx, and leaves
// no session on it if it answers. An error that is identity.ErrIdentity says that what answers is not the node; see
// Status for one that is an answer.
func Examine(ctx context.Context, cfg Config, node regions.Proposal) (Examination, error) {
	if err := cfg.withDefaults(); err != nil {
		return Examination{}, err
	}
	client, err := cfg.clientOf(node)
	if err != nil {
		return Examination{}, err
	}
	p := &probe{wire: wire{client: client, url: node.URL, host: node.Authority(), header: cfg.Header}}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), parting)
		defer cancel()
		p.close(ctx)
	}()
	ctx, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	r, err := p.check(ctx)
	if err != nil {
		return Examination{}, err
	}
	return Examination{Facts: r.facts, Latency: r.latency}, nil
}

// Status returns the HTTP status of the answer that a check failed at, since it is not the MCP that was asked for;
// ok is false where there was no answer. A 200 with something else than MCP is one too.
func Status(err error) (status int, ok bool) {
	r, ok := errors.AsType[*refusal](err)
	if !ok {
		return 0, false
	}
	return r.Status, true
}
