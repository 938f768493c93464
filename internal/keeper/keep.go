package keeper

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/session"
	"github.com/quorate/quorate/internal/keeper/sessionid"
	"github.com/quorate/quorate/internal/planted"
	"github.com/quorate/quorate/internal/replica"
)

// openingBound is how long the agent of a new session waits for its first copy, at most: then the session is pending.
const openingBound = 2 * time.Second

// Changes implements session.Keeper. A gateway that is cut off goes on with its own sessions; what it changes is its tail.
func (k *Keeper) Changes(service string) *mcp.Error {
	if !k.cfg.Authority.Allow() {
		return nil
	}
	if err := k.cfg.Store.Lagging(service); err != nil {
		return agentError(err)
	}
	return nil
}

// Ends implements session.Keeper. Where contents are kept before agents are answered, so are deletions: one that only
// this gateway knew of would be lost with it. Where copies are made, what it does alone is its tail.
func (k *Keeper) Ends(service string) *mcp.Error {
	if !k.cfg.Authority.Allow() && k.cfg.Committed(service) != nil {
		return agentError(ErrNoQuorum)
	}
	return k.Changes(service)
}

// Commits implements session.Keeper.
func (k *Keeper) Commits(service string) bool { return k.cfg.Committed(service) != nil }

// Keep implements session.Keeper.
func (k *Keeper) Keep(ctx context.Context, service, id string, contents []byte, how session.How) error {
	r, err := k.owned(service, id)
	if err != nil {
		return wrap("keep", err)
	}
	if r.Deleted {
		return wrap("keep", session.ErrTaken) // its end may only wait to be committed: nothing goes before it
	}
	r.Contents = contents
	return k.told("keep", k.write(ctx, r, how))
}

// Drop implements session.Keeper.
func (k *Keeper) Drop(ctx context.Context, service, id string, how session.How) error {
	r, err := k.owned(service, id)
	if err != nil {
		return wrap("drop", err)
	}
	// Its successor may go on with it, at the same node, which is told that the session is over.
	if how == session.Aside && !k.cfg.Authority.Allow() {
		return k.told("drop", ErrNoQuorum)
	}
	r.Deleted = true
	return k.told("drop", k.write(ctx, r, how))
}

// told names an error, and says what an agent is told of it.
func (k *Keeper) told(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, replica.ErrStale):
		return wrap(what, errors.Join(session.ErrTaken, err))
	}
	return wrap(what, fmt.Errorf("%w: %w", agentError(err), err))
}

// owned is the record of a session that this gateway owns, with the version that comes next, deleted if it is.
func (k *Keeper) owned(service, id string) (replica.Record, error) {
	key := k.cfg.Key()
	sid, err := sessionid.Parse(key, id)
	if key == nil || err != nil {
		return replica.Record{}, sessionid.ErrForged
	}
	me, record := k.cfg.Authority.Life(), sid.Record()
	c := k.cfg.Authority.Owner(record, sid.Minter)
	mine := c.Owner == me && !k.released.under(record, c.Ballot) || planted.On(planted.Squatter)
	if me.Incarnation == 0 || !mine {
		return replica.Record{}, session.ErrTaken
	}
	r := replica.Record{Key: recordKey(record), Service: service, Owner: k.cfg.Gateway, Ballot: uint64(c.Ballot), Version: 1, Until: sid.Until().Unix()}
	if now, ok := k.local(service, r.Key); ok {
		r.Version, r.Deleted = now.Version+1, now.Deleted && now.Ballot == r.Ballot
	}
	return r, nil
}

// write keeps a state, as durably as its class and those who wait for it ask.
func (k *Keeper) write(ctx context.Context, r replica.Record, how session.How) (err error) {
	open := k.cfg.Authority.Allow()
	if !open {
		defer func() {
			if id, bad := sessionid.ParseRecord(r.ID); err == nil && bad == nil {
				k.notes.made(change{Record: r, id: id})
			}
		}()
	}
	if c := k.cfg.Committed(r.Service); c != nil {
		return k.commit(ctx, c, r, how, open)
	}
	copies, plan := 0, k.cfg.Plan(r.Service)
	if open && plan.Copies > 0 && (how == session.Opening || r.Deleted && how != session.Aside) {
		copies = 1
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, min(plan.Timeout, openingBound))
		defer cancel()
	}
	return k.put(ctx, r, copies)
}

// commit has the control group agree before the agent is answered. What it cannot agree on now is this gateway's tail,
// and an error for agents who have not been told so: whoever takes the session over does not know of it. That a session
// is over is no exception.
func (k *Keeper) commit(ctx context.Context, c Committed, r replica.Record, how session.How, open bool) error {
	tail := how == session.Tail
	switch {
	case how == session.Aside, tail && !open, planted.On(planted.Hasty) && how == session.Change:
		return k.pending.add(r)
	case !open:
		return ErrNoQuorum
	}
	err := c.Put(ctx, r)
	switch {
	case err == nil, errors.Is(err, replica.ErrStale):
		k.pending.forget(r.Key, r.Ballot)
		return err
	case !errors.Is(err, ErrNoQuorum): // this state is kept nowhere; what waits since before may have been seen, and still has to be
		return err
	}
	if full := k.pending.add(r); full != nil { // it may be committed: asking again under the same version is safe
		return errors.Join(err, full)
	}
	if tail && !k.cfg.Authority.Allow() {
		return nil
	}
	return err
}
