package keeper

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/gateway/session"
	"github.com/quorate/quorate/internal/keeper/sessionid"
	"github.com/quorate/quorate/internal/planted"
	"github.com/quorate/quorate/internal/replica"
)

// Former is the store that kept a service's contents before another strategy was chosen. Those who live have put their
// sessions anew; what only it has are sessions whose owner had ended before and which nobody has asked for since.
type Former interface {
	// Look and Take are those of Committed.
	Look(ctx context.Context, k replica.Key) (replica.Record, bool, error)
	Take(ctx context.Context, r replica.Record) (replica.Record, bool, error)
	// Each calls the function for every record of the service that is not deleted, and stops at its error.
	Each(ctx context.Context, f func(k replica.Key) error) error
	// Left says that it is not needed any more.
	Left()
}

const (
	// leaveLook is how often it is looked whether there is a store to be left, and leaveEvery how often what it has is gone
	// through.
	leaveLook, leaveEvery = time.Second, 15 * time.Second
	// leaveFor is how long a store is asked after it has first been gone through: gateways switch one after the other, and
	// a life that is over is known to be so a moment later.
	leaveFor = time.Minute
	// leavePatience is how long it is tried to go through one that does not answer.
	leavePatience = 10 * time.Minute
	// maxOrphans bounds the sessions that one look takes over; further ones are taken over by the next.
	maxOrphans = 100_000
)

// leaving is a store that is being left.
type leaving struct {
	since, whole, next time.Time // whole: when it was first gone through to the end
	taken              int64
}

// leave has this gateway claim what only a former store has, until nothing is left there.
func (k *Keeper) leave(ctx context.Context) {
	tick := time.NewTicker(leaveLook)
	defer tick.Stop()
	all := map[string]*leaving{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, there := time.Now(), map[string]*leaving{}
		for _, service := range k.cfg.Formers() {
			l := all[service]
			if l == nil {
				l = &leaving{since: now}
				k.again(service) // of the same class, perhaps, and another store
			}
			there[service] = l
			if f := k.cfg.Former(service); f != nil && !now.Before(l.next) && k.cfg.Authority.Allow() {
				k.leaveOnce(ctx, service, f, l)
			}
		}
		all = there
	}
}

// leaveOnce goes through a former store, and lets go of it when that is due.
func (k *Keeper) leaveOnce(ctx context.Context, service string, f Former, l *leaving) {
	taken, err := k.orphans(ctx, service, f)
	now := time.Now()
	l.taken, l.next = l.taken+taken, now.Add(leaveEvery)
	switch {
	case err == nil && l.whole.IsZero():
		l.whole = now
	case err == nil && now.Sub(l.whole) >= leaveFor:
		f.Left()
		k.cfg.Event(EventLeft, "", fmt.Sprintf("service %s: its former store is asked no more; %d sessions were taken over from there", service, l.taken))
	case err != nil && now.Sub(l.since) >= leavePatience:
		f.Left()
		k.cfg.Event(EventLeft, "", fmt.Sprintf("service %s: its former store is asked no more, although it could not be gone through: sessions whose gateway had ended, and that have no copies elsewhere, are lost: %v", service, err))
	case err != nil:
		k.log.Warn("sessions in a service's former store are not all taken over yet", "service", service, "cause", err.Error())
	}
}

// orphans claims the sessions of a former store whose owners have ended, so that they are kept where they are to be now.
func (k *Keeper) orphans(ctx context.Context, service string, f Former) (taken int64, err error) {
	if planted.On(planted.Rooted) || k.cfg.Key() == nil {
		return 0, nil
	}
	var all []sessionid.ID
	err = f.Each(ctx, func(key replica.Key) error {
		id, bad := sessionid.ParseRecord(key.ID)
		if bad != nil || key.Kind != replica.Session || id.Over(time.Now()) || len(all) >= maxOrphans {
			return nil //nolint:nilerr // no session that anybody can ask for
		}
		if owner := k.cfg.Authority.Owner(key.ID, id.Minter); k.cfg.Authority.Ended(owner.Owner) {
			all = append(all, id)
		}
		return nil
	})
	var work sync.WaitGroup
	var done, open atomic.Int64
	slots := make(chan struct{}, tailAtOnce)
	for _, id := range all {
		slots <- struct{}{}
		work.Go(func() {
			defer func() { <-slots }()
			f := &finding{k: k, id: id, text: k.name(id), service: service, tailing: true}
			switch found, err := f.find(ctx); {
			case err != nil || found.Where == session.Nowhere:
				open.Add(1)
			case found.Where == session.Here:
				done.Add(1)
			}
		})
	}
	work.Wait()
	if n := open.Load(); err == nil && n > 0 {
		err = fmt.Errorf("keeper: former store of %s: %d sessions are not claimed yet", service, n)
	}
	return done.Load(), err
}

// withFormer adds what only a former store has. Where that does not answer, nobody can say that there is nothing.
func (k *Keeper) withFormer(ctx context.Context, a *answers, r replica.Record) {
	f := k.cfg.Former(r.Service)
	if f == nil || planted.On(planted.Rooted) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, copiesBound)
	defer cancel()
	ask := func() (replica.Record, bool, error) { return f.Take(ctx, r) }
	if r.Ballot == 0 {
		ask = func() (replica.Record, bool, error) { return f.Look(ctx, r.Key) }
	}
	old, found, err := ask()
	switch {
	case err != nil:
		a.unsure = a.unsure || !a.found
	case found && (!a.found || newer(&old, &a.newest)):
		a.newest, a.found = old, true
	}
}
