package host

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/quorate/quorate/internal/breaker"
	"github.com/quorate/quorate/plugins"
	"github.com/quorate/quorate/strategies"
)

// calls is how many calls of a store are under way at once; what comes besides waits. Each session of a lost gateway is a
// call of its own, and over a distance each takes several round trips: with few at once hundreds of them wait in turn.
const calls = 64

// Replicator keeps one replication strategy running and asks it, and its store if it is one. Its methods may be called
// concurrently. None belongs on the path of a request.
type Replicator struct {
	h      *Host
	stores *breaker.Breaker // of the store: its engine may be down while plans are made
	calls  chan struct{}
}

var _ strategies.Store = (*Replicator)(nil)

// NewReplicator returns a replicator that runs nothing yet, or every problem of the configuration.
func NewReplicator(cfg Config) (*Replicator, error) {
	cfg.kind = plugins.Replication
	h, err := New(cfg)
	if err != nil {
		return nil, err
	}
	b, err := breaker.New(breaker.Config{Consecutive: 3, Volume: 10, OpenFor: time.Second, OnChange: func(from, to string) {
		h.cfg.Log.Warn("breaker of a strategy's store changes", "strategy", cfg.Name, "from", from, "to", to)
	}})
	if err != nil {
		return nil, fmt.Errorf("host: %w", err)
	}
	return &Replicator{h: h, stores: b, calls: make(chan struct{}, calls)}, nil
}

// Run is Host.Run.
func (r *Replicator) Run(ctx context.Context) error { return r.h.Run(ctx) }

// Status returns what the host is doing.
func (r *Replicator) Status() Status { return r.h.Status() }

// Stores reports whether the strategy that runs is a store, and the state of the breaker before it.
func (r *Replicator) Stores() (bool, string) {
	l, err := r.h.current()
	if err != nil {
		return false, r.stores.State()
	}
	_, ok := l.store()
	return ok, r.stores.State()
}

// Plan asks for the plan of a valid input, as Host.Decide does for a rule. A plan of the class Stored is that of a
// store. On any error the plan that is in force stays.
func (r *Replicator) Plan(ctx context.Context, in strategies.PlanInput) (strategies.Plan, error) {
	if err := in.Validate(); err != nil {
		return strategies.Plan{}, fmt.Errorf("host: plan: %w", err)
	}
	var p strategies.Plan
	err := r.h.exclusive(ctx, func(l running) (err error) {
		p, err = l.plan(ctx, in)
		return err
	})
	if err != nil {
		return strategies.Plan{}, err
	}
	return p, nil
}

// Put implements strategies.Store for any number of records, in as many calls as are needed, each within Config.Store.
// Its error may come after some were kept; putting all of them again is harmless. It wraps ErrNoStore, ErrDown,
// ErrLate, ErrFailed, ErrInadmissible, strategies.ErrUnavailable or strategies.ErrFull, or is that of ctx or of a
// record; so do those of the methods below.
func (r *Replicator) Put(ctx context.Context, records []strategies.Record) ([]strategies.Written, error) {
	for _, one := range records {
		if err := one.Validate(); err != nil {
			return nil, fmt.Errorf("host: put: %w", err)
		}
	}
	var all []strategies.Written
	for len(records) > 0 {
		n := batch(records)
		err := r.call(ctx, func(ctx context.Context, s strategies.Store) error {
			written, err := s.Put(ctx, records[:n])
			all = append(all, written...)
			return err
		})
		if err != nil {
			return nil, err
		}
		records = records[n:]
	}
	return all, nil
}

// batch returns how many of the records go into one call: no key twice, and within the limits. One always does.
func batch(records []strategies.Record) int {
	seen, size := map[string]bool{}, 0
	for i, r := range records {
		if size += len(r.Contents); i > 0 && (i == strategies.MaxBatch || size > strategies.MaxBytes || seen[r.Key]) {
			return i
		}
		seen[r.Key] = true
	}
	return len(records)
}

// Get implements strategies.Store for at most strategies.MaxBatch queries.
func (r *Replicator) Get(ctx context.Context, queries []strategies.Query) (answers []strategies.Answer, err error) {
	if len(queries) > strategies.MaxBatch {
		return nil, fmt.Errorf("host: get: %d queries, at most %d are allowed", len(queries), strategies.MaxBatch)
	}
	for _, q := range queries {
		if err := q.Validate(); err != nil {
			return nil, fmt.Errorf("host: get: %w", err)
		}
	}
	err = r.call(ctx, func(ctx context.Context, s strategies.Store) (err error) {
		answers, err = s.Get(ctx, queries)
		return err
	})
	return answers, err
}

// List implements strategies.Store. It may take as long as ctx lets it.
func (r *Replicator) List(ctx context.Context, each func(strategies.Head) error) error {
	l, err := r.h.current()
	if err != nil {
		return r.h.named(err)
	}
	s, ok := l.store()
	if !ok {
		return r.h.named(ErrNoStore)
	}
	var own error // of the caller's function, which says nothing of the store
	err = s.List(ctx, func(h strategies.Head) error {
		own = each(h)
		return own
	})
	if err == nil || own != nil {
		return own
	}
	return r.h.named(classify(ctx, err))
}

// Inspect implements strategies.Store.
func (r *Replicator) Inspect(ctx context.Context) (found []strategies.Finding, err error) {
	err = r.call(ctx, func(ctx context.Context, s strategies.Store) (err error) {
		found, err = s.Inspect(ctx)
		return err
	})
	return found, err
}

// call asks the store through its breaker.
func (r *Replicator) call(ctx context.Context, ask func(context.Context, strategies.Store) error) error {
	l, err := r.h.current()
	if err != nil {
		return r.h.named(err)
	}
	s, ok := l.store()
	if !ok {
		return r.h.named(ErrNoStore)
	}
	select {
	case r.calls <- struct{}{}:
		defer func() { <-r.calls }()
	case <-ctx.Done():
		return ctx.Err()
	}
	done, err := r.stores.Allow()
	if err != nil {
		return r.h.named(fmt.Errorf("%w: its store: %w", ErrDown, err))
	}
	within, cancel := context.WithTimeout(ctx, r.h.cfg.Store)
	defer cancel()
	return r.outcome(ctx, done, classify(within, ask(within, s)))
}

// outcome tells the breaker what a call came to.
func (r *Replicator) outcome(ctx context.Context, done func(breaker.Outcome), err error) error {
	switch {
	case err == nil:
		done(breaker.Success)
		return nil
	case errors.Is(ctx.Err(), context.Canceled):
		done(breaker.Ignored)
		return ctx.Err()
	case errors.Is(err, strategies.ErrRefused), errors.Is(err, strategies.ErrFull):
		done(breaker.Success) // it answers
	default:
		done(breaker.Failure)
		r.h.look()
	}
	return r.h.named(err)
}
