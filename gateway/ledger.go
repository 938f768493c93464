package gateway

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/ledger"
)

// Ledger remembers calls under keys of the agents', for the whole fleet.
type Ledger interface {
	// Begin commits the intent to run a call, or says what became of it, as package ledger has it.
	Begin(ctx context.Context, c ledger.Call) (ledger.Begun, error)
}

// Keyed is what a service wants of the ledger.
type Keyed struct {
	Identity  string        // name of the header that says who calls; default Authorization
	Retention time.Duration // how long a key is remembered; default 24 h
	MaxResult int           // of what is kept of an answer, in bytes; default ledger.MaxResult
}

func (k Keyed) withDefaults() Keyed {
	if k.Identity == "" {
		k.Identity = "Authorization"
	}
	if k.Retention == 0 {
		k.Retention = 24 * time.Hour
	}
	if k.MaxResult == 0 {
		k.MaxResult = ledger.MaxResult
	}
	return k
}

// maxKey is the longest key, in bytes.
const maxKey = 255

// keyed finds out whether a message has a key that its route wants in the ledger. A call that another gateway passes
// on has its intent there.
func (p *pool) keyed(m *message, r *http.Request) *mcp.Error {
	if m.env.Kind == mcp.KindBatch {
		return p.keyedBatch(m, r.Header)
	}
	if !m.env.HasKey || !m.policy.ledger || m.env.Method != mcp.MethodToolsCall {
		return nil
	}
	if !wellFormed(m.env.IdempotencyKey) {
		return badKey("bad_key", "_meta."+mcp.MetaIdempotencyKey+" must be a string of 1 to 255 visible ASCII characters")
	}
	if m.env.Kind != mcp.KindRequest {
		return badKey("bad_key", "a call with "+mcp.MetaIdempotencyKey+" must have an id")
	}
	m.single = true
	m.keyed = scopeOf(r).via == ""
	return nil
}

func badKey(reason, message string) *mcp.Error {
	e := mcp.InvalidParams(message)
	e.Reason = reason
	return e
}

func wellFormed(key string) bool {
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return false
		}
	}
	return key != "" && len(key) <= maxKey
}

// keyedBatch refuses a batch with a call under a key: its answers come in one piece, and one that was lost could not
// be told from one that has run.
func (p *pool) keyedBatch(m *message, h http.Header) *mcp.Error {
	if !slices.ContainsFunc(p.policies, func(y policy) bool { return y.ledger }) {
		return nil
	}
	var refused *mcp.Error
	_ = mcp.ScanBatch(m.body, func(_ mcp.Span, e mcp.Envelope) error { // one that is none is refused where it is served
		if e.HasKey && e.Method == mcp.MethodToolsCall && p.policy(e.Method, e.Name, h).ledger {
			refused = badKey("key_in_batch", "a call with "+mcp.MetaIdempotencyKey+" must not be in a batch")
		}
		return nil
	})
	return refused
}

// recall is the call as the ledger knows it.
func (p *pool) recall(m *message, h http.Header) ledger.Call {
	settings := p.settings.Ledger.withDefaults()
	return ledger.Call{
		Service: p.name, Caller: h.Values(settings.Identity), Tool: m.env.Name, Key: m.env.IdempotencyKey,
		Step: m.env.RequestState, Digest: mcp.DigestParams(m.env.Params.Of(m.body)), Retention: settings.Retention,
	}
}

// whyNot is what an agent is told of a call that the ledger does not let out.
func whyNot(err error) (*mcp.Error, Outcome) {
	known := func(reason, message string, again time.Duration) (*mcp.Error, Outcome) {
		return &mcp.Error{Code: mcp.CodeOutcomeUnknown, Message: message, Reason: reason, RetryAfter: again, HTTPStatus: http.StatusBadGateway}, Unknown
	}
	switch {
	case errors.Is(err, ledger.ErrReused):
		return badKey("key_reused", "this idempotency key was used for a call with other arguments; use another key"), Rejected
	case errors.Is(err, ledger.ErrRunning):
		return known("running", "the call under this key is still running; send it again with the same key to get its result", time.Second)
	case errors.Is(err, ledger.ErrUnkept):
		return known("result_not_kept", "the call under this key has run; its result was too large to be kept, and it will not run again", 0)
	case errors.Is(err, ledger.ErrUnknown):
		return known("attempt_lost", "outcome unknown: the call under this key was begun, and whoever ran it was lost; it will not run again under this key", 0)
	case errors.Is(err, ledger.ErrFull):
		e := mcp.Overloaded("ledger_full", time.Minute)
		e.Message = "too many idempotency keys are remembered; nothing was done"
		return e, Overloaded
	case errors.Is(err, ledger.ErrNotReady):
		e := mcp.Overloaded("ledger_not_ready", time.Second)
		e.Message = "idempotency keys cannot be kept yet; nothing was done"
		return e, Overloaded
	}
	return mcp.NoAuthority(mcp.ReasonNoQuorum, time.Second), Refused
}

// always is the gate of a gateway without an authority.
type always struct{}

// Allow implements Authority.
func (always) Allow() bool { return true }

// Fence implements Authority.
func (always) Fence() uint64 { return 0 }

// Decide implements Authority.
func (always) Decide(authority.Asked) authority.Decision { return authority.Pass }
