package ledger

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// Intent is the leave to run a call once. Its holder must call Settle when it knows what became of the call, or that
// nobody will.
type Intent struct {
	l       *Ledger
	scope   Scope
	attempt attempt
	words   atomic.Int32
}

// What an intent has said of its call.
const (
	nothing int32 = iota
	unknown
	known
)

// Current reports whether the life that committed the intent goes on. It is to be asked after the gate was found open,
// not before: no gate is open in a life that has ended, so that life and gate are then of one time.
func (i *Intent) Current() bool { return i.l.cfg.Life() == i.attempt.Life && i.words.Load() == nothing }

// Begun is what Begin found: an intent, or else what became of the call before.
type Begun struct {
	Intent  *Intent
	Outcome Outcome // of kind Result or Failed
}

// stepsBack bounds how often a key that was free again is asked for anew.
const stepsBack = 8

// Begin commits the intent to run a call, or says what became of the call that the key has named before: it waits for
// one that is under way while ctx lasts. Errors: ErrNoQuorum, ErrNotReady, ErrFull: nothing was done. ErrReused.
// ErrRunning, ErrUnknown, ErrUnkept: the call was begun, and what is known of its outcome.
func (l *Ledger) Begin(ctx context.Context, c Call) (Begun, error) {
	if c.Retention < time.Second || c.Retention > MaxRetention {
		return Begun{}, fmt.Errorf("ledger: begin: %w: a retention of %s", ErrRefused, c.Retention)
	}
	key, err := l.soon(ctx, l.fleetKey)
	if err != nil {
		return Begun{}, fmt.Errorf("ledger: begin: %w", err)
	}
	scope := c.scope(key)
	for range stepsBack {
		begun, err := l.begin(ctx, scope, &c)
		if !errors.Is(err, errFree) {
			return begun, err
		}
	}
	return Begun{}, fmt.Errorf("ledger: begin: %w", ErrRunning)
}

// errFree says that the key is free again.
var errFree = errors.New("the key is free again")

// soon bounds what an agent cannot profit from waiting for.
func (l *Ledger) soon(ctx context.Context, do func(context.Context) ([]byte, error)) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, proposeFor)
	defer cancel()
	return do(ctx)
}

func (l *Ledger) begin(ctx context.Context, scope Scope, c *Call) (Begun, error) {
	if s, known := l.cfg.Part.look(scope); known {
		return l.earlier(ctx, scope, c, s)
	}
	in := &Intent{l: l, scope: scope, attempt: attempt{Life: l.cfg.Life(), Number: number()}}
	if in.attempt.Incarnation == 0 {
		return Begun{}, fmt.Errorf("ledger: begin: %w: this gateway has no life now", ErrNoQuorum)
	}
	l.own(in.attempt)
	short, cancel := context.WithTimeout(ctx, proposeFor)
	defer cancel()
	now, _ := l.cfg.Clock()
	v, err := l.ask(short, item{Op: opIntent, Scope: scope[:], Attempt: in.attempt, Digest: c.Digest[:], Until: now.Add(c.Retention).Unix()})
	if err == nil && v == done {
		return Begun{Intent: in}, nil
	}
	l.disown(in.attempt)
	switch {
	case err != nil:
		return Begun{}, fmt.Errorf("ledger: begin: %w", err)
	case v == full:
		return Begun{}, fmt.Errorf("ledger: begin: %w", ErrFull)
	}
	return Begun{}, errFree // or another's by now: look again
}

// number draws the number of an attempt.
func number() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	return binary.BigEndian.Uint64(b[:])
}

func (l *Ledger) own(a attempt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mine[a] = struct{}{}
}

func (l *Ledger) disown(a attempt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.mine, a)
}

// Settle says what became of the call. What is known is said once, and may follow the word that it is not. Settle
// returns when that is committed, or after the ledger's patience with ErrNoQuorum: then it will be as soon as it can.
func (i *Intent) Settle(o Outcome) error {
	if o.Kind == Unknown && !i.words.CompareAndSwap(nothing, unknown) || o.Kind != Unknown && i.words.Swap(known) == known {
		return nil
	}
	it := item{Op: opOutcome, Scope: i.scope[:], Attempt: i.attempt, Kind: o.Kind, Status: o.Status, Value: o.Value}
	switch o.Kind {
	case Unknown:
		it = item{Op: opUnknown, Scope: i.scope[:], Attempt: i.attempt}
	case NotRun:
		it = item{Op: opWithdraw, Scope: i.scope[:], Attempt: i.attempt}
	default:
		if !o.whole() || !valid(o.Value) {
			it.Kind, it.Value = Unkept, nil
		}
	}
	return i.commit(it)
}

func (i *Intent) commit(it item) error {
	committed := i.l.insist(it)
	timer := time.NewTimer(i.l.cfg.Patience)
	defer timer.Stop()
	select {
	case r := <-committed:
		i.l.disown(i.attempt)
		return r.err
	case <-timer.C:
	case <-i.l.ctx.Done():
		return errClosed
	}
	if !i.l.later(i.attempt, committed) {
		return errClosed
	}
	return fmt.Errorf("ledger: settle: %w: the outcome is not committed yet", ErrNoQuorum)
}

// later waits for an outcome in the background.
func (l *Ledger) later(a attempt, committed <-chan reply) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.work.Go(func() {
		select {
		case <-committed:
			l.disown(a)
		case <-l.ctx.Done():
		}
	})
	return true
}
