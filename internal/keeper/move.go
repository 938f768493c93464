package keeper

import (
	"context"
	"errors"
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
	own := map[string][]replica.Record{}
	k.cfg.Store.Each(func(r replica.Record) bool {
		if r.Kind == replica.Session && r.Owner == k.cfg.Gateway {
			own[r.Service] = append(own[r.Service], r)
		}
		return true
	})
	for service, all := range own {
		class := k.cfg.Plan(service).Class
		if was, known := k.moves.done[service]; known && was == class {
			continue
		}
		if class != Async && !planted.On(planted.Rooted) && !k.moved(ctx, service, all) {
			k.moves.wanted.Store(true) // again at the next tick
			continue
		}
		if k.moves.done == nil {
			k.moves.done = map[string]Class{}
		}
		k.moves.done[service] = class
	}
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
		states[w.state(k.cfg.Plan(w.Service).Retries)]++
		lag = max(lag, time.Since(w.since))
	}
	return states, lag
}

// revised is a Committed that numbers what it has acknowledged.
type revised interface{ Revision(k replica.Key) uint64 }
