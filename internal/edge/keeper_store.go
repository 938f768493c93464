package edge

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/keeper"
	"github.com/quorate/quorate/internal/replica"
	"github.com/quorate/quorate/strategies"
)

// inStore are the contents that a strategy's own store keeps, as the keeper asks for them. This gateway has a copy of
// what it has written or read, which it serves by while it owns the session.
type inStore struct {
	service string
	plans   *plans
	copies  *replica.Store
	store   func(service string) (strategies.Store, error)
}

// storeKey is a record's key in a store: letters, digits and - _ / only.
func storeKey(k replica.Key) string { return fmt.Sprintf("%d/%s", k.Kind, k.ID) }

func toStore(r replica.Record) strategies.Record {
	return strategies.Record{
		Key: storeKey(r.Key), Service: r.Service, Owner: r.Owner, Ballot: r.Ballot, Version: r.Version, Deleted: r.Deleted,
		Until: r.Until, Contents: r.Contents,
	}
}

func ofStore(k replica.Key, r strategies.Record) replica.Record {
	return replica.Record{
		Key: k, Service: r.Service, Owner: r.Owner, Ballot: r.Ballot, Version: r.Version, Deleted: r.Deleted, Until: r.Until, Contents: r.Contents,
	}
}

// Get implements keeper.Committed: what is known without asking is in the copies, which the keeper looks at itself.
func (inStore) Get(replica.Key) (replica.Record, bool) { return replica.Record{}, false }

// Look implements keeper.Committed.
func (s inStore) Look(ctx context.Context, k replica.Key) (replica.Record, bool, error) {
	return s.ask(ctx, k, strategies.Query{Key: storeKey(k)})
}

// Take implements keeper.Committed.
func (s inStore) Take(ctx context.Context, r replica.Record) (replica.Record, bool, error) {
	return s.ask(ctx, r.Key, strategies.Query{Key: storeKey(r.Key), Ballot: r.Ballot, Until: r.Until})
}

// Hint is what the store has of a record by an answer that may be old; it is asked once.
func (s inStore) Hint(ctx context.Context, k replica.Key) (r replica.Record, found, old bool) {
	store, err := s.store(s.service)
	if err != nil {
		return r, false, false
	}
	answers, err := store.Get(ctx, []strategies.Query{{Key: storeKey(k), Hint: true}})
	if err != nil || len(answers) != 1 {
		return r, false, false
	}
	return ofStore(k, answers[0].Record), answers[0].Found, answers[0].Old
}

func (s inStore) ask(ctx context.Context, k replica.Key, q strategies.Query) (replica.Record, bool, error) {
	var answers []strategies.Answer
	err := s.try(ctx, func(ctx context.Context, store strategies.Store) (err error) {
		answers, err = store.Get(ctx, []strategies.Query{q})
		return err
	})
	switch {
	case err != nil:
		return replica.Record{}, false, err
	case len(answers) != 1:
		return replica.Record{}, false, fmt.Errorf("%w: %d answers to one question", keeper.ErrStoreAway, len(answers))
	case q.Ballot > 0 && answers[0].Promised > q.Ballot:
		return replica.Record{}, false, fmt.Errorf("%w: %d is promised", replica.ErrStale, answers[0].Promised)
	}
	return ofStore(k, answers[0].Record), answers[0].Found, nil
}

// Put implements keeper.Committed.
func (s inStore) Put(ctx context.Context, r replica.Record) error {
	if r.Deleted {
		r.Contents = nil
	}
	var written []strategies.Written
	err := s.try(ctx, func(ctx context.Context, store strategies.Store) (err error) {
		written, err = store.Put(ctx, []strategies.Record{toStore(r)})
		return err
	})
	switch {
	case err != nil:
		return err
	case len(written) != 1:
		return fmt.Errorf("%w: %d outcomes of one record", keeper.ErrStoreAway, len(written))
	}
	switch outcome := written[0].Outcome; {
	case outcome == strategies.Kept, outcome == strategies.Gone && r.Deleted: // whoever has deleted it
		s.plans.acked.set(r.Key, written[0].Revision)
		return s.copies.Put(ctx, r, 0)
	case outcome == strategies.TooLarge:
		return replica.ErrTooLarge
	default:
		return fmt.Errorf("%w: %s", replica.ErrStale, outcome)
	}
}

// tryAgain is the pause after a try that came to nothing.
const tryAgain = 100 * time.Millisecond

// try asks the store again until the timeout of the service's plan: its engine may be electing a leader, and its process
// may be starting. Repeating is harmless by the order of records.
func (s inStore) try(ctx context.Context, ask func(context.Context, strategies.Store) error) error {
	within, cancel := context.WithTimeout(ctx, s.plans.of(s.service).keeper.Timeout)
	defer cancel()
	for {
		store, err := s.store(s.service)
		if err == nil {
			err = ask(within, store)
		}
		if err == nil || errors.Is(err, strategies.ErrFull) || errors.Is(err, strategies.ErrRefused) {
			return storeError(err)
		}
		select {
		case <-within.Done():
			return storeError(err)
		case <-time.After(tryAgain):
		}
	}
}

// Revision tells operators the store's own number of what it has acknowledged here last, 0 if that is not known.
func (s inStore) Revision(k replica.Key) uint64 { return s.plans.acked.get(k) }

// maxRevisions bounds how many are remembered.
const maxRevisions = 100_000

// revisions are those of records that stores have acknowledged, for operators.
type revisions struct {
	mu  sync.Mutex
	all map[replica.Key]uint64
}

func (v *revisions) set(k replica.Key, revision uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.all == nil || len(v.all) >= maxRevisions {
		v.all = map[replica.Key]uint64{} // begun anew: what changes is there again soon
	}
	v.all[k] = revision
}

func (v *revisions) get(k replica.Key) uint64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.all[k]
}

// storeError is an error of a store in the words that the keeper branches on.
func storeError(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, strategies.ErrFull) {
		return fmt.Errorf("%w: %w", replica.ErrFull, err)
	}
	return fmt.Errorf("%w: %w", keeper.ErrStoreAway, err)
}
