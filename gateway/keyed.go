package gateway

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/upstream"
	"github.com/quorate/quorate/internal/ledger"
)

const (
	// keyedWait is how long a repeated key waits for the call that is under way.
	keyedWait = 30 * time.Second
	// keyedGrace is how long a call under a key goes on after its agent has left: an agent that was cut off comes back
	// for its result. After it, of a call that goes on all the same, the ledger holds that its outcome is unknown, until
	// it is known.
	keyedGrace = 30 * time.Second
)

// keyedCall is a call whose intent is committed. It is the call's permit, too: only the life that committed the intent
// may send it.
type keyedCall struct {
	intent *ledger.Intent
	gate   upstream.Permit
	id     []byte
	most   int // bytes of a result that is kept
	log    *slog.Logger
	sent   atomic.Bool // a byte of it may have left
	known  atomic.Bool // its outcome is settled
}

// Allow implements upstream.Permit. The gate is asked first, see ledger.Intent.
func (k *keyedCall) Allow() bool {
	if !k.gate.Allow() || !k.intent.Current() {
		return false
	}
	k.sent.Store(true)
	return true
}

// Fence implements upstream.Permit.
func (k *keyedCall) Fence() uint64 { return k.gate.Fence() }

// answered settles the outcome by the message that answers the call, before the agent can get it; nil is an answer of
// the gateway's own to a call that a node may have seen. It may be called of no call.
func (k *keyedCall) answered(message []byte) {
	if k == nil {
		return
	}
	k.settle(judge(keyedAnswer{status: http.StatusOK, body: message, id: k.id, sent: true}))
}

func (k *keyedCall) settle(o ledger.Outcome) {
	if o.Kind != ledger.Unknown && !k.known.CompareAndSwap(false, true) || k.known.Load() && o.Kind == ledger.Unknown {
		return
	}
	if len(o.Value) > k.most {
		o = ledger.Outcome{Kind: ledger.Unkept}
	}
	if err := k.intent.Settle(o); err != nil {
		k.log.Warn("the outcome of a call under a key is not in the ledger", "cause", err.Error())
	}
}

// serveKeyed serves a call under a key: by what the ledger holds of it, or by run once its intent is committed. It
// reports whether run was called. run reports false if it has done and written nothing.
func (g *Gateway) serveKeyed(w http.ResponseWriter, r *http.Request, p *pool, m *message, run func(http.ResponseWriter, *http.Request, *keyedCall) bool) (Outcome, bool) {
	if g.cfg.Ledger == nil {
		return refuseKeyed(w, m, ledger.ErrNotReady), false
	}
	ctx, cancel := context.WithTimeout(r.Context(), keyedWait)
	defer cancel()
	begun, err := g.cfg.Ledger.Begin(ctx, p.recall(m, r.Header))
	switch {
	case err != nil:
		return refuseKeyed(w, m, err), false
	case begun.Intent == nil:
		return repeat(w, m, begun.Outcome), false
	}
	k := &keyedCall{intent: begun.Intent, gate: m.permit, id: m.id(), most: p.settings.Ledger.withDefaults().MaxResult, log: g.cfg.Logger.With("service", p.name)}
	if k.gate == nil {
		k.gate = always{}
	}
	kw := &keyedWriter{ResponseWriter: w, k: k}
	defer kw.left()
	if !run(kw, r, k) {
		k.settle(ledger.Outcome{Kind: ledger.NotRun})
	}
	kw.end()
	return OK, true
}

func refuseKeyed(w http.ResponseWriter, m *message, err error) Outcome {
	e, outcome := whyNot(err)
	mcp.WriteAnswer(w, m.env.Method, e, m.id())
	return outcome
}

// repeat answers with what an earlier call under the key was answered.
func repeat(w http.ResponseWriter, m *message, o ledger.Outcome) Outcome {
	member := `,"result":`
	if o.Kind == ledger.Failed {
		member = `,"error":`
	}
	body := append([]byte(`{"jsonrpc":"2.0","id":`), m.id()...)
	body = append(append(append(body, member...), o.Value...), '}')
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set(mcp.HeaderLedger, mcp.Stored)
	status := http.StatusOK
	if o.Status != 0 {
		status = o.Status
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // a failed write is the agent's loss
	return outcomeOf(status)
}

// detach makes a request go on for a while when its agent has left. What it returns ends that.
func detach(r *http.Request) (*http.Request, func()) {
	parent := r.Context()
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(parent))
	bound := func() {}
	if at, ok := parent.Deadline(); ok {
		ctx, bound = context.WithDeadlineCause(ctx, at, errDeadline)
	}
	grace := time.AfterFunc(time.Hour, func() { cancel(errAgentGone) })
	grace.Stop()
	stop := context.AfterFunc(parent, func() { grace.Reset(keyedGrace) })
	return r.WithContext(ctx), func() {
		stop()
		grace.Stop()
		bound()
		cancel(nil)
	}
}
