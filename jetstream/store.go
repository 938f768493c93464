// Package jetstream keeps the contents of sessions in a key-value bucket of a NATS JetStream cluster. It must not know
// who owns a session, nor what is in one.
package jetstream

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/quorate/quorate/strategies"
)

// Name is what configuration calls the strategy.
const Name = "jetstream"

const (
	// atOnce bounds the keys of one call that are on their way together.
	atOnce = 64
	// pauses between rounds of compare-and-set on one key, at random: each round that fails means that another writer is
	// on its way or got through.
	pauseLeast, pauseMost = 200 * time.Microsecond, 4 * time.Millisecond
	// oneRound is how long one round waits for an answer, and patience how long rounds without one are repeated: as long
	// as the election of a leader usually takes.
	oneRound, patience = 2 * time.Second, 4 * time.Second
)

// Store implements strategies.Store. The zero value is ready to be configured.
type Store struct {
	Log *slog.Logger // of its connection; nil: none

	from   nats.CustomDialer // where connections come from; nil: this machine
	told   strategies.Settings
	set    settings
	conn   *nats.Conn
	js     jetstream.JetStream
	line   line
	known  cache
	hinted told
	near   mirror
	ended  chan struct{}
	once   sync.Once // closes it
	mu     sync.Mutex
	bucket jetstream.Stream // nil until it is there
}

var (
	_ strategies.Store      = (*Store)(nil)
	_ strategies.Configured = (*Store)(nil)
)

// Configure implements strategies.Configured. A cluster that cannot be reached is no error: it may come later.
func (s *Store) Configure(_ context.Context, told strategies.Settings) (err error) {
	if s.conn != nil {
		return strategies.Refuse("it is configured already")
	}
	if s.set, err = parse(told.JSON); err != nil {
		return err
	}
	s.told, s.ended = told, make(chan struct{})
	if s.conn, err = s.connect(s.set.URLs, s.line.lost); err != nil {
		return strategies.Refuse("no way to NATS: %v", err)
	}
	if s.js, err = jetstream.New(s.conn); err != nil {
		return err
	}
	if err := s.approach(); err != nil {
		return strategies.Refuse("no way to NATS nearby: %v", err)
	}
	return nil
}

func (s *Store) log() *slog.Logger {
	if s.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Log
}

// Close ends the connections.
func (s *Store) Close() error {
	s.once.Do(func() {
		if s.ended != nil {
			close(s.ended)
		}
	})
	for _, c := range []*nats.Conn{s.conn, s.near.conn} {
		if c != nil {
			c.Close()
		}
	}
	return nil
}

// Plan implements strategies.Replication: whatever the roster, contents are in the bucket.
func (s *Store) Plan(_ context.Context, in strategies.PlanInput) (strategies.Plan, error) {
	return strategies.Plan{Class: strategies.Stored, Timeout: in.Timeout, Retries: in.Retries, Spread: strategies.SpreadNone}, nil
}

// Put implements strategies.Store. It is answered after the bucket's leader has a quorum of its replicas.
func (s *Store) Put(ctx context.Context, records []strategies.Record) ([]strategies.Written, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	written := make([]strategies.Written, len(records))
	err := each(ctx, len(records), func(ctx context.Context, i int) (err error) {
		written[i], err = s.put(ctx, records[i])
		return err
	})
	if err != nil {
		return nil, outer("put", err)
	}
	return written, nil
}

func (s *Store) put(ctx context.Context, r strategies.Record) (w strategies.Written, err error) {
	guess, busy := s.guess(r)
	if busy {
		if err := pause(ctx, pauseMost/2); err != nil {
			return w, err
		}
	}
	e, err := s.update(ctx, r.Key, guess, func(e *entry) (changes bool) {
		if w.Outcome, changes = e.standing().Judge(r); changes {
			e.take(r)
		}
		return changes
	})
	if errors.Is(err, errTooLarge) {
		return strategies.Written{Outcome: strategies.TooLarge}, nil
	}
	w.Standing, w.Revision = e.standing(), e.revision
	return w, err
}

// guess is what the bucket probably has of a record's key: the last that went through here, or nothing of one that is
// new. A guess that is wrong costs a round, no more: what is published names the revision that it replaces. A key is busy
// that was written here a moment ago: whoever writes on and on lets others in between.
func (s *Store) guess(r strategies.Record) (guess *entry, busy bool) {
	e, known, now := s.known.get(r.Key)
	if !known && r.Version == 1 {
		e, now = entry{Key: r.Key}, true
	}
	if !now {
		return nil, known
	}
	if _, changes := e.standing().Judge(r); !changes {
		return nil, false // what is said to be so already is looked up
	}
	return &e, false
}

// Get implements strategies.Store. An answer that decides is itself a compare-and-set: what was read is written again
// under the revision that it was read at, with the promise. A leader that has been replaced and does not know it can
// answer a read, but can commit nothing.
func (s *Store) Get(ctx context.Context, queries []strategies.Query) ([]strategies.Answer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	answers := make([]strategies.Answer, len(queries))
	err := each(ctx, len(queries), func(ctx context.Context, i int) (err error) {
		if queries[i].Hint {
			answers[i] = s.hint(ctx, queries[i].Key)
			return nil
		}
		answers[i], err = s.get(ctx, queries[i])
		return err
	})
	if err != nil {
		return nil, outer("get", err)
	}
	return answers, nil
}

func (s *Store) get(ctx context.Context, q strategies.Query) (strategies.Answer, error) {
	e, err := s.update(ctx, q.Key, s.first(ctx, q.Key), func(e *entry) bool {
		if q.Ballot > e.Promised {
			e.Promised, e.End = q.Ballot, max(e.End, q.Until)
		}
		return true
	})
	return e.answer(time.Now()), err
}

// update reads, changes and writes what there is of a key as one step: a loop over compare-and-set. A round without an
// answer, as while a leader is elected, is followed by another: what was written by it all the same is found then.
func (s *Store) update(ctx context.Context, key string, guess *entry, change func(*entry) bool) (entry, error) {
	began := time.Now()
	for {
		e, err := s.round(ctx, key, guess, change)
		guess = nil
		switch {
		case err == nil:
			return e, nil
		case ctx.Err() != nil:
			return entry{}, context.Cause(ctx)
		case errors.Is(err, errOvertaken):
		case !again(err) || time.Since(began) > patience:
			return entry{}, err
		}
		if err := pause(ctx, pauseLeast+rand.N(pauseMost)); err != nil {
			return entry{}, err
		}
	}
}

// round is one try of update.
func (s *Store) round(ctx context.Context, key string, guess *entry, change func(*entry) bool) (entry, error) {
	ctx, cancel := context.WithTimeout(ctx, oneRound)
	defer cancel()
	ctx, leave := s.line.use(ctx)
	defer leave()
	e, err := s.entry(ctx, key, guess)
	if err != nil {
		return entry{}, onLine(ctx, err)
	}
	if !change(&e) {
		s.known.put(e, 0)
		return e, nil
	}
	began := time.Now()
	if err = s.publish(ctx, &e); err != nil {
		s.known.drop(key)
		return entry{}, onLine(ctx, err)
	}
	s.known.put(e, time.Since(began))
	return e, nil
}

// again reports whether another round may help: nobody has answered.
func again(err error) bool {
	return errors.Is(err, strategies.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded)
}

// pause waits, unless ctx ends before.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// each calls do for 0..n-1, atOnce at a time, and returns the first error.
func each(ctx context.Context, n int, do func(context.Context, int) error) error {
	if n == 1 {
		return do(ctx, 0)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var work sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i := range n {
		slots <- struct{}{}
		work.Go(func() {
			defer func() { <-slots }()
			if ctx.Err() != nil {
				return
			}
			if err := do(ctx, i); err != nil {
				cancel(err)
			}
		})
	}
	work.Wait()
	return context.Cause(ctx)
}
