package keeper

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/gateway/session"
	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/keeper/sessionid"
	"github.com/quorate/quorate/internal/replica"
)

// tailAtOnce is how many sessions of a tail are claimed at one time; their claims share entries of the log.
const tailAtOnce = 256

// change is a session's latest state, if nobody else is known to have it.
type change struct {
	replica.Record
	id      sessionid.ID
	changes uint64 // that no other gateway has confirmed
}

// tail sees to what this gateway's former life has changed alone: what nobody has claimed is claimed by the present one,
// and then replicated; what somebody has is dropped, and reported. Other sessions are claimed when they are asked for.
func (k *Keeper) tail(ctx context.Context, before authority.Life) error {
	var work sync.WaitGroup
	var open atomic.Int64
	slots := make(chan struct{}, tailAtOnce)
	k.note() // what has reached nobody up to now
	for _, c := range k.notes.list() {
		owner := k.cfg.Authority.Owner(c.ID, c.id.Minter)
		if owner.Owner.Gateway != k.cfg.Gateway {
			k.drop(&c, owner)
			continue
		}
		if c.Deleted || owner.Owner == k.cfg.Authority.Life() {
			continue // a deletion is replicated as it is, and what is claimed already too
		}
		slots <- struct{}{}
		work.Go(func() {
			defer func() { <-slots }()
			if !k.inherit(ctx, &c) {
				open.Add(1)
			}
		})
	}
	work.Wait()
	if n := open.Load(); n > 0 {
		return fmt.Errorf("keeper: tail of %s: %d sessions are not claimed yet", before, n)
	}
	return nil
}

// alone lists the states of this gateway's own that no other is known to have.
func (k *Keeper) alone() []change {
	var all []change
	now := k.now()
	add := func(r replica.Record, changes uint64) {
		if id, err := sessionid.ParseRecord(r.ID); err == nil && changes > 0 && !id.Over(now) {
			all = append(all, change{r, id, changes})
		}
	}
	var own []replica.Record
	k.cfg.Store.Each(func(r replica.Record) bool {
		if r.Kind == replica.Session && r.Owner == k.cfg.Gateway {
			own = append(own, r)
		}
		return true
	})
	for _, r := range own { // the store is not asked while it is walked through
		add(r, k.unconfirmed(&r))
	}
	for _, w := range k.pending.waiting() {
		r, before := w.Record, uint64(0)
		if w.same {
			continue
		}
		if c := k.cfg.Committed(r.Service); c != nil {
			if known, ok := c.Get(r.Key); ok {
				before = known.Version
			}
		}
		add(r, r.Version-min(before, r.Version))
	}
	return all
}

// unconfirmed counts the changes of a record that no other gateway has.
func (k *Keeper) unconfirmed(r *replica.Record) uint64 {
	s, ok := k.cfg.Store.Status(r.Key)
	if !ok || k.cfg.Plan(r.Service).Copies == 0 {
		return 0
	}
	most := uint64(0)
	for _, p := range s.Places {
		if p.Ballot == r.Ballot {
			most = max(most, p.Version)
		}
		if p.Has {
			return 0
		}
	}
	return r.Version - min(most, r.Version)
}

// inherit claims a session of this gateway's former life, false if that has to be tried again.
func (k *Keeper) inherit(ctx context.Context, c *change) bool {
	f := &finding{k: k, id: c.id, text: k.name(c.id), service: c.Service, tailing: true}
	found, err := f.find(ctx)
	if err != nil || found.Where == session.Nowhere {
		return false
	}
	if found.Where == session.There {
		k.drop(c, k.cfg.Authority.Owner(c.ID, c.id.Minter))
	}
	return true
}

// name is the id as its agent has it.
func (k *Keeper) name(id sessionid.ID) string { return id.Sign(k.cfg.Key()) }

// drop reports changes that are lost, since somebody has claimed the session without them.
func (k *Keeper) drop(c *change, owner authority.Claim) {
	if uint64(owner.Ballot) > c.Ballot {
		k.dropped(c, owner.Owner.Gateway)
	}
}

func (k *Keeper) dropped(c *change, owner string) {
	k.pending.forget(c.Key, c.Ballot)
	d := Dropped{
		Gateway: k.cfg.Gateway, Session: session.Hash(k.name(c.id)), Service: c.Service, Changes: c.changes, Deleted: c.Deleted,
		Owner: owner, At: time.Now(),
	}
	if !k.report.add(reported{c.ID, c.Ballot}, d) {
		return
	}
	k.figures.dropped.Add(1)
	k.cfg.Event(EventDropped, d.Owner, fmt.Sprintf("session %s: %d changes are dropped, %s has claimed it without them", d.Session, d.Changes, d.Owner))
}

// Superseded takes in that somebody knows a higher ballot for a record that this gateway has written, and by whom it has
// been replaced here: what nobody else has of it is lost. It does not block.
func (k *Keeper) Superseded(old replica.Outranked, _ uint64, by string) {
	defer k.Wake()
	if k.cfg.Key() == nil || old.Kind != replica.Session || old.Alone == 0 || k.cfg.Plan(old.Service).Copies == 0 {
		return
	}
	id, err := sessionid.ParseRecord(old.ID)
	if err != nil || k.released.under(old.ID, authority.Index(old.Ballot)) {
		return // who was given it has all of it
	}
	c := &change{old.Record, id, old.Alone}
	owner := k.cfg.Authority.Owner(old.ID, id.Minter)
	switch {
	case by != "":
		k.dropped(c, by)
	case owner.Owner.Gateway != k.cfg.Gateway:
		k.drop(c, owner)
	default: // the log here does not say yet who it is; what takes the place of this state will, or the tail of this life
	}
}
