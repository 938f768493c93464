package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// lookAgain is how often who waits for an outcome looks whether the life that owes it has ended.
const lookAgain = 100 * time.Millisecond

// earlier says what became of the call that the key has named before.
func (l *Ledger) earlier(ctx context.Context, scope Scope, c *Call, s standing) (Begun, error) {
	if s.digest != c.Digest {
		return Begun{}, fmt.Errorf("ledger: begin: %w", ErrReused)
	}
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for {
		now, known, changed := l.cfg.Part.watch(scope)
		switch {
		case !known || now.digest != c.Digest:
			return Begun{}, errFree
		case !now.open:
			return told(now.outcome)
		case l.orphan(now.attempt):
			if err := l.giveUp(ctx, scope, now.attempt); err != nil {
				return Begun{}, err
			}
			continue
		}
		select {
		case <-changed:
		case <-tick.C:
		case <-ctx.Done():
			return Begun{}, fmt.Errorf("ledger: begin: %w", ErrRunning)
		case <-l.ctx.Done():
			return Begun{}, fmt.Errorf("ledger: begin: %w", ErrRunning)
		}
	}
}

// told is what an agent learns of an outcome.
func told(o Outcome) (Begun, error) {
	switch o.Kind {
	case Result, Failed:
		return Begun{Outcome: o}, nil
	case Unkept:
		return Begun{}, fmt.Errorf("ledger: begin: %w", ErrUnkept)
	}
	return Begun{}, fmt.Errorf("ledger: begin: %w", ErrUnknown)
}

// orphan reports whether nobody carries an attempt out any more: its life has ended, or it is one of this life that
// this process has lost.
func (l *Ledger) orphan(a attempt) bool {
	if l.cfg.Ended(a.Life) {
		return true
	}
	if a.Life != l.cfg.Life() {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, mine := l.mine[a]
	return !mine
}

// giveUp commits that the outcome of an attempt is not known.
func (l *Ledger) giveUp(ctx context.Context, scope Scope, a attempt) error {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Patience)
	defer cancel()
	if _, err := l.ask(ctx, item{Op: opUnknown, Scope: scope[:], Attempt: a}); err != nil {
		return fmt.Errorf("ledger: begin: %w: and that cannot be committed: %w", ErrRunning, err)
	}
	return nil
}

func valid(b []byte) bool { return len(b) == 0 || json.Valid(b) }
