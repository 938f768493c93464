package ledger

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/authority"
)

// Config is what a Ledger needs. Every field without a default is required. Its functions are called by many at once.
type Config struct {
	Part *Part
	// Propose has the group agree on a command of the part, and returns once that is applied here. An error that is
	// ErrRefused says that it never will be; any other one, that it may have been or may yet be.
	Propose func(ctx context.Context, command []byte) ([]byte, error)
	// Life is this gateway's present one; incarnation 0: none now. Once a life has ended it must not be returned while
	// the gate is open, and the other way round: see Intent.Current.
	Life func() authority.Life
	// Ended reports whether a life has ended, by what is applied here.
	Ended func(authority.Life) bool
	// Ready reports whether every member of the group knows the part; nil: they do.
	Ready func(context.Context) bool
	// Clock tells the wall clock's time, until which keys are remembered, and whether that is sure: while it is not, none is
	// forgotten. nil: this machine's, and it is.
	Clock    func() (now time.Time, sure bool)
	Patience time.Duration // for an outcome to be committed before the agent is answered; default 2 s
	Sweep    time.Duration // between two looks for what has expired; default 1 min
	Logger   *slog.Logger
}

// Ledger is one gateway's way to the ledger.
type Ledger struct {
	cfg  Config
	ctx  context.Context
	stop context.CancelFunc
	work sync.WaitGroup

	mu      sync.Mutex // guards what follows
	queue   []*wish
	bytes   int                  // of the results in queue
	pending int                  // wishes that are queued or on their way
	mine    map[attempt]struct{} // attempts of this process whose outcome is not committed
	more    chan struct{}        // of one: something was queued
	closed  bool
}

// New returns a Ledger that works until Close.
func New(cfg Config) (*Ledger, error) {
	if cfg.Part == nil || cfg.Propose == nil || cfg.Life == nil || cfg.Ended == nil || cfg.Logger == nil {
		return nil, errors.New("ledger: new: part, propose, life, ended and logger are required")
	}
	if cfg.Ready == nil {
		cfg.Ready = func(context.Context) bool { return true }
	}
	if cfg.Clock == nil {
		cfg.Clock = func() (time.Time, bool) { return time.Now(), true }
	}
	if cfg.Patience == 0 {
		cfg.Patience = 2 * time.Second
	}
	if cfg.Sweep == 0 {
		cfg.Sweep = time.Minute
	}
	if cfg.Patience < 0 || cfg.Sweep < 0 {
		return nil, fmt.Errorf("ledger: new: negative time: patience %s, sweep %s", cfg.Patience, cfg.Sweep)
	}
	l := &Ledger{cfg: cfg, mine: map[attempt]struct{}{}, more: make(chan struct{}, 1)}
	l.ctx, l.stop = context.WithCancel(context.Background())
	l.work.Go(l.commit)
	l.work.Go(l.sweep)
	return l, nil
}

// Figures counts what the ledger holds, as far as it is applied here.
func (l *Ledger) Figures() Figures { return l.cfg.Part.Figures() }

// Close commits what outcomes there still are, within ctx, and ends.
func (l *Ledger) Close(ctx context.Context) {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.drain(ctx)
	l.stop()
	l.work.Wait()
}

// sweep forgets what is to be remembered no longer. Every gateway does: whoever comes first leaves nothing to the
// others.
func (l *Ledger) sweep() {
	tick := time.NewTicker(l.cfg.Sweep)
	defer tick.Stop()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-tick.C:
		}
		if now, sure := l.cfg.Clock(); !sure || !l.cfg.Part.expired(now.Unix()) {
			continue
		}
		ctx, cancel := context.WithTimeout(l.ctx, l.cfg.Sweep)
		if _, err := l.ask(ctx, item{Op: opExpire}); err != nil && l.ctx.Err() == nil {
			l.cfg.Logger.Debug("keys that have expired are still remembered", "cause", err.Error())
		}
		cancel()
	}
}

// fleetKey returns the fleet's key, and sees to it that there is one.
func (l *Ledger) fleetKey(ctx context.Context) ([]byte, error) {
	if key := l.cfg.Part.fleetKey(); key != nil {
		return key, nil
	}
	if !l.cfg.Ready(ctx) {
		return nil, ErrNotReady
	}
	var fresh [keySize]byte
	_, _ = rand.Read(fresh[:]) // it never fails
	value, err := json.Marshal(fresh[:])
	if err != nil {
		return nil, fmt.Errorf("ledger: key: %w", err)
	}
	if _, err := l.ask(ctx, item{Op: opKey, Value: value}); err != nil {
		return nil, err
	}
	return l.cfg.Part.fleetKey(), nil
}
