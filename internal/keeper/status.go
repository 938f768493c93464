package keeper

import (
	"context"
	"errors"
	"time"

	"github.com/quorate/quorate/gateway/session"
	"github.com/quorate/quorate/internal/keeper/sessionid"
	"github.com/quorate/quorate/internal/replica"
)

// ErrUnknown says that no session that this gateway knows of has that id or hash.
var ErrUnknown = errors.New("keeper: no such session")

// Sight is one session as a gateway sees it.
type Sight struct {
	Session string // its hash
	Service string
	Minter  string // the life that the id names
	Minted  time.Time
	Until   time.Time
	Owner   string // the gateway that owns it
	Life    string
	Ended   bool   // the owner's life is over: whoever is asked for the session claims it
	Ballot  uint64 // under which it is owned
	Version uint64
	Deleted bool
	Class   Class
	State   string // synced, pending, syncing or failed; "" where only a copy is seen
	Lag     time.Duration
	// Revision is the store's own of what it has acknowledged to the gateway that says so; 0: it has none, or not known.
	Revision uint64
	Here     bool // this gateway serves it, or would at once
	Copies   []Copy
	From     string // the gateway that says so
}

// Copy is one copy of a session's contents.
type Copy struct {
	Gateway         string
	Up, Has         bool // Has: the newest state
	Ballot, Version uint64
}

// Look says what is known of a session, by its id or its hash. The owner knows most: it is asked if it can be.
func (k *Keeper) Look(ctx context.Context, name string) (Sight, error) {
	id, err := k.named(name)
	if err != nil {
		return Sight{}, err
	}
	here, err := k.seen(id.Record())
	if here.Owner == "" || here.Owner == k.cfg.Gateway || here.Ended || !k.up(here.Owner) {
		return here, err
	}
	ctx, cancel := context.WithTimeout(ctx, askBound)
	defer cancel()
	var there Sight
	if k.question(ctx, here.Owner, "look", struct{ Record string }{id.Record()}, &there) == nil && there.Session != "" {
		return there, nil
	}
	return here, err
}

// named finds an id by itself or by its hash, which is what logs show.
func (k *Keeper) named(name string) (id sessionid.ID, err error) {
	key := k.cfg.Key()
	if key == nil {
		return id, ErrUnknown
	}
	if id, err = sessionid.Parse(key, name); err == nil {
		return id, nil
	}
	err = ErrUnknown
	k.cfg.Store.Each(func(r replica.Record) bool {
		if one, bad := sessionid.ParseRecord(r.ID); bad == nil && r.Kind == replica.Session && session.Hash(one.Sign(key)) == name {
			id, err = one, nil
		}
		return err != nil
	})
	return id, err
}

// seen is what this gateway knows of a record.
func (k *Keeper) seen(record string) (Sight, error) {
	id, err := sessionid.ParseRecord(record)
	if err != nil || k.cfg.Key() == nil {
		return Sight{}, ErrUnknown
	}
	a := k.cfg.Authority
	c := a.Owner(record, id.Minter)
	s := Sight{
		Session: session.Hash(k.name(id)), Minter: id.Minter.String(), Minted: id.Minted, Until: id.Until(), Owner: c.Owner.Gateway,
		Life: c.Owner.String(), Ended: a.Ended(c.Owner), Ballot: uint64(c.Ballot), From: k.cfg.Gateway,
	}
	r, ok := k.known(recordKey(record))
	if !ok {
		return s, ErrUnknown
	}
	s.Service, s.Version, s.Deleted = r.Service, r.Version, r.Deleted
	s.Here = !s.Deleted && c.Owner == a.Life()
	if k.cfg.Committed(r.Service) != nil {
		s.Class, s.State = k.cfg.Plan(r.Service).Class, string(replica.Synced)
		if w, waits := k.pending.look(r.Key); waits && !w.same {
			s.State, s.Lag = string(w.state(k.cfg.Plan(r.Service).Retries)), time.Since(w.since)
		}
		if v, ok := k.cfg.Committed(r.Service).(revised); ok {
			s.Revision = v.Revision(r.Key)
		}
		return s, nil
	}
	k.copies(&s, r)
	return s, nil
}

// known returns the newest state here of a record whose service is not known.
func (k *Keeper) known(key replica.Key) (replica.Record, bool) {
	r, ok := k.local("", key)
	if ok {
		return k.local(r.Service, key)
	}
	return r, ok
}

func (k *Keeper) copies(s *Sight, r replica.Record) {
	st, ok := k.cfg.Store.Status(r.Key)
	if !ok {
		return
	}
	s.Copies = append(s.Copies, Copy{k.cfg.Gateway, true, true, r.Ballot, r.Version})
	if r.Owner != k.cfg.Gateway {
		return // only who has written it knows who has it
	}
	s.State, s.Lag = string(st.State), st.Lag
	for _, p := range st.Places {
		s.Copies = append(s.Copies, Copy{p.Gateway, p.Up, p.Has, p.Ballot, p.Version})
	}
}

// Owners counts the sessions that this gateway owns or holds copies of, by the gateway that owns them; "" stands for
// those whose owner's life is over and which nobody has claimed yet.
func (k *Keeper) Owners() map[string]int {
	now := k.now()
	all := map[string]int{}
	var ids []sessionid.ID
	k.cfg.Store.Each(func(r replica.Record) bool {
		if id, err := sessionid.ParseRecord(r.ID); err == nil && r.Kind == replica.Session && !r.Deleted && !id.Over(now) {
			ids = append(ids, id)
		}
		return true
	})
	for _, id := range ids {
		c := k.cfg.Authority.Owner(id.Record(), id.Minter)
		if k.cfg.Authority.Ended(c.Owner) {
			c.Owner.Gateway = ""
		}
		all[c.Owner.Gateway]++
	}
	return all
}
