package keeper

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/replica"
)

// Committed keeps contents outside of this gateway before agents are answered: in the control group, or in a store.
type Committed interface {
	// Get returns a record as far as it is known here without asking anybody.
	Get(k replica.Key) (replica.Record, bool)
	// Look returns a record as it is after everything that was acknowledged anywhere before.
	Look(ctx context.Context, k replica.Key) (replica.Record, bool, error)
	// Take has r's ballot promised and returns the record as it was at that moment.
	Take(ctx context.Context, r replica.Record) (replica.Record, bool, error)
	// Put returns when the record is committed, and applied here; a deleted one is deleted. Its errors are those of
	// replica's Put, or ErrNoQuorum.
	Put(ctx context.Context, r replica.Record) error
}

// ErrNoQuorum says that what keeps contents cannot keep them now, or that whether it has is not known.
var ErrNoQuorum = errors.New("keeper: no quorum")

// ErrStoreAway is ErrNoQuorum of a strategy's own store.
var ErrStoreAway = fmt.Errorf("%w: the strategy's store is away", ErrNoQuorum)

// newer reports whether a replaces b: a deletion is final under its ballot.
func newer(a, b *replica.Record) bool {
	switch {
	case a.Ballot != b.Ballot:
		return a.Ballot > b.Ballot
	case a.Deleted != b.Deleted:
		return a.Deleted
	}
	return a.Version > b.Version
}

// local returns the newest state of a record that this gateway has.
func (k *Keeper) local(service string, key replica.Key) (newest replica.Record, found bool) {
	take := func(r replica.Record, ok bool) {
		if ok && (!found || newer(&r, &newest)) {
			newest, found = r, true
		}
	}
	take(k.cfg.Store.Get(key))
	take(k.pending.get(key))
	if c := k.cfg.Committed(service); c != nil {
		take(c.Get(key))
	}
	if service != "" { // the service may have been of class Quorum before
		take(k.inGroup(key))
	}
	return newest, found
}

// inGroup returns what the control group has of a record, as it is applied here.
func (k *Keeper) inGroup(key replica.Key) (replica.Record, bool) {
	if c := k.cfg.Committed(""); c != nil {
		return c.Get(key)
	}
	return replica.Record{}, false
}

// answers is what the holders of a record have said.
type answers struct {
	newest replica.Record
	found  bool
	placed bool     // the class of the service keeps the newest itself, and has promised the ballot
	silent []string // who did not answer and has not ended
	unsure bool     // this gateway's own store does not know yet what it should hold
}

// incomplete reports whether somebody may hold a copy who has not said so.
func (a *answers) incomplete() bool { return len(a.silent) > 0 || a.unsure }

func (a *answers) held() held {
	switch {
	case !a.found:
		return none
	case a.newest.Deleted:
		return deleted
	}
	return live
}

// gather asks everybody who may hold the record; r names it, and the ballot that they promise, 0: none. A service may have
// been of the other class before: who has nothing in the one place is looked for in the other.
func (k *Keeper) gather(ctx context.Context, r replica.Record) (answers, error) {
	c := k.cfg.Committed(r.Service)
	if c == nil {
		return k.andFormer(ctx, r, k.fromCopiesAndGroup)
	}
	copied := k.copiesOf(ctx, r) // meanwhile
	a, err := k.fromCommitted(ctx, c, r)
	switch {
	case err != nil:
		return a, err
	case a.found:
		if f := copied(); f.Found && newer(&f.Record, &a.newest) {
			a.newest, a.placed = f.Record, false
		}
		return a, nil
	}
	return k.andFormer(ctx, r, k.fromCopies)
}

// andFormer adds what the store from before has to what is found now.
func (k *Keeper) andFormer(ctx context.Context, r replica.Record, from func(context.Context, replica.Record) (answers, error)) (answers, error) {
	a, err := from(ctx, r)
	if err == nil {
		k.withFormer(ctx, &a, r)
	}
	return a, err
}

// copiesBound is how long copies are asked for when contents are there already.
const copiesBound = time.Second

// copiesOf asks for what was copied while the service was of the class Async, and which its owner had no time to put into
// the new place. Who does not answer is not waited for: the rest has been acknowledged there. What it returns waits.
func (k *Keeper) copiesOf(ctx context.Context, r replica.Record) (said func() replica.Fetched) {
	if r.Ballot == 0 {
		return func() replica.Fetched { return replica.Fetched{} }
	}
	ctx, cancel := context.WithTimeout(ctx, copiesBound)
	copies := make(chan replica.Fetched, 1)
	go func() {
		defer cancel()
		f, err := k.cfg.Store.Fetch(ctx, r.Key, r.Ballot, "")
		if err != nil {
			f = replica.Fetched{}
		}
		copies <- f
	}()
	return func() replica.Fetched { return <-copies }
}

// fromCopiesAndGroup asks the copies, and has the group promise the ballot too where it has a record from before: an owner
// that has not heard of another plan yet goes on committing there.
func (k *Keeper) fromCopiesAndGroup(ctx context.Context, r replica.Record) (answers, error) {
	if _, before := k.inGroup(r.Key); before && r.Ballot > 0 {
		if _, _, err := k.cfg.Committed("").Take(ctx, r); err != nil {
			return answers{}, wrap("fetch", err)
		}
	}
	return k.fromCopies(ctx, r) // and what is here, the group's among it
}

func (k *Keeper) fromCommitted(ctx context.Context, c Committed, r replica.Record) (a answers, err error) {
	if r.Ballot == 0 {
		a.newest, a.found, err = c.Look(ctx, r.Key)
	} else {
		a.newest, a.found, err = c.Take(ctx, r)
		a.placed = a.found
	}
	k.withLocal(&a, r)
	return a, err
}

func (k *Keeper) fromCopies(ctx context.Context, r replica.Record) (answers, error) {
	f, err := k.cfg.Store.Fetch(ctx, r.Key, r.Ballot, "")
	if err != nil {
		return answers{}, wrap("fetch", err)
	}
	a := answers{newest: f.Record, found: f.Found, silent: k.unheard(f.Heard), unsure: slices.Contains(f.Silent, k.cfg.Gateway)}
	k.withLocal(&a, r)
	return a, nil
}

// withLocal adds what this gateway has.
func (k *Keeper) withLocal(a *answers, of replica.Record) {
	if r, ok := k.local(of.Service, of.Key); ok && (!a.found || newer(&r, &a.newest)) {
		a.newest, a.found, a.placed = r, true, false
	}
}

// unheard are those who may hold a copy, were not heard, and have not ended. Whoever has come since others were asked is
// one of them.
func (k *Keeper) unheard(heard []string) []string {
	var all []string
	for _, c := range k.cfg.Authority.Carriers() {
		if c.Gateway != k.cfg.Gateway && !slices.Contains(heard, c.Gateway) {
			all = append(all, c.Gateway)
		}
	}
	return all
}

func (k *Keeper) up(gateway string) bool { return k.cfg.Links != nil && k.cfg.Links.Up(gateway) }

// put stores a state under this gateway's own ballot.
func (k *Keeper) put(ctx context.Context, r replica.Record, copies int) error {
	if c := k.cfg.Committed(r.Service); c != nil {
		return c.Put(ctx, r)
	}
	err := k.cfg.Store.Put(ctx, r, copies)
	if errors.Is(err, replica.ErrUnconfirmed) { // it is kept, and shows as pending
		k.figures.unconfirmed.Add(1)
		return nil
	}
	return err
}
