package keeper

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/internal/planted"
	"github.com/quorate/quorate/internal/replica"
)

// moves is where the sessions of services have been put: another plan has them put anew, before anybody relies on it.
type moves struct {
	wanted atomic.Bool
	mu     sync.Mutex
	done   map[string]Class // by service
}

// Replaced says that plans may have changed. It never blocks.
func (k *Keeper) Replaced() {
	k.moves.wanted.Store(true)
	select {
	case k.pending.work <- struct{}{}:
	default:
	}
}

// again has a service's sessions put anew although their class is the same.
func (k *Keeper) again(service string) {
	k.moves.mu.Lock()
	delete(k.moves.done, service)
	k.moves.mu.Unlock()
	k.Replaced()
}

// move puts this gateway's own sessions where the plans of their services want them now. The copies from before stay:
// whoever takes a session over looks at both.
func (k *Keeper) move(ctx context.Context) {
	if !k.moves.wanted.Swap(false) {
		return
	}
	k.moves.mu.Lock()
	defer k.moves.mu.Unlock()
	done := map[string]Class{} // of services that have any: one that has none now may have some elsewhere later
	for service, own := range k.own() {
		class := k.cfg.Plan(service).Class
		if was, known := k.moves.done[service]; known && was == class {
			done[service] = class
			continue
		}
		if !planted.On(planted.Rooted) && !k.moved(ctx, service, own.to(class)) {
			k.moves.wanted.Store(true) // again at the next tick
			continue
		}
		done[service] = class
	}
	k.moves.done = done
}

// possessions are the sessions of one service that this gateway has written, by where they are. Those that are in both
// places are in both lists.
type possessions struct{ copied, committed []replica.Record }

// to returns those that may have to be put anew where a class wants them.
func (p *possessions) to(class Class) []replica.Record {
	switch class {
	case Async:
		return p.committed
	case Quorum:
		return p.copied
	}
	return slices.Concat(p.copied, p.committed)
}

// placed reports whether a state is where the class of its service wants it, as far as that is known without asking.
func (k *Keeper) placed(r *replica.Record) bool {
	var there replica.Record
	var ok bool
	switch k.cfg.Plan(r.Service).Class {
	case Async:
		there, ok = k.cfg.Store.Get(r.Key)
	case Quorum:
		there, ok = k.inGroup(r.Key)
	}
	return ok && !newer(r, &there)
}

// own returns this gateway's sessions, by service.
func (k *Keeper) own() map[string]*possessions {
	all := map[string]*possessions{}
	of := func(r *replica.Record) *possessions {
		if all[r.Service] == nil {
			all[r.Service] = &possessions{}
		}
		return all[r.Service]
	}
	k.cfg.Store.Each(func(r replica.Record) bool {
		if r.Kind == replica.Session && r.Owner == k.cfg.Gateway {
			p := of(&r)
			p.copied = append(p.copied, r)
		}
		return true
	})
	if g, ok := k.cfg.Committed("").(lister); ok {
		g.Each(func(r replica.Record) bool {
			if r.Kind == replica.Session && r.Owner == k.cfg.Gateway {
				p := of(&r)
				p.committed = append(p.committed, r)
			}
			return true
		})
	}
	return all
}

// lister is a Committed that can list what it has, as far as it is known here.
type lister interface {
	// Each calls f for every record, in no order, until f says no.
	Each(f func(replica.Record) bool)
}

// moved puts records into the place that is new, and reports whether all are there that nobody else has taken.
func (k *Keeper) moved(ctx context.Context, service string, all []replica.Record) bool {
	var work sync.WaitGroup
	var open atomic.Int64
	slots := make(chan struct{}, flushAtOnce)
	for _, r := range all {
		if open.Load() > 0 {
			break
		}
		if !k.mine(&r) {
			continue
		}
		slots <- struct{}{}
		work.Go(func() {
			defer func() { <-slots }()
			if now, ok := k.local(service, r.Key); ok {
				r = now // what is older may be refused, or take the place of nothing
			}
			if k.placed(&r) {
				return
			}
			if err := k.put(ctx, r, 0); err != nil && !errors.Is(err, replica.ErrStale) {
				open.Add(1)
				k.log.Debug("a session is not where its plan wants it yet", "service", service, "cause", err.Error())
			}
		})
	}
	work.Wait()
	return open.Load() == 0
}

// Waiting counts the sessions whose last change is not committed yet, and how old the oldest is.
func (k *Keeper) Waiting() (states map[replica.State]int, lag time.Duration) {
	states = map[replica.State]int{}
	for _, w := range k.pending.waiting() {
		if w.same { // all of it is kept
			continue
		}
		states[w.state(k.cfg.Plan(w.Service).Retries)]++
		lag = max(lag, time.Since(w.since))
	}
	return states, lag
}

// revised is a Committed that numbers what it has acknowledged.
type revised interface{ Revision(k replica.Key) uint64 }
