package keeper

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/replica"
)

const (
	// maxForeseen bounds the sessions that are asked for ahead at one time.
	maxForeseen = 1024
	// foreseenFor is how long the answer stands: longer than a fence takes.
	foreseenFor = 2 * time.Second
)

// foreseen are sessions that will be asked for as soon as their owner's life has ended, and that were looked for by a
// hint while that takes its time. Nothing rests on a hint, so it may come early.
type foreseen struct {
	mu        sync.Mutex
	all       map[string]*foresight // by record
	suspected map[string]time.Time  // by gateway: when
}

type foresight struct {
	answers
	told chan struct{} // closed once the answers are there
	at   time.Time
}

// suspect takes in that a gateway is probably lost.
func (f *foreseen) suspect(gateway string, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.DeleteFunc(f.suspected, func(_ string, at time.Time) bool { return now.Sub(at) >= foreseenFor })
	if f.suspected == nil {
		f.suspected = map[string]time.Time{}
	}
	f.suspected[gateway] = now
}

// suspects reports whether a gateway was probably lost a moment ago.
func (f *foreseen) suspects(gateway string, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, ok := f.suspected[gateway]
	return ok && now.Sub(at) < foreseenFor
}

// begin returns a place for what is asked now; nil: it was asked a moment ago, or there is no room.
func (f *foreseen) begin(record string, now time.Time) *foresight {
	f.mu.Lock()
	defer f.mu.Unlock()
	if one, ok := f.all[record]; ok && now.Sub(one.at) < foreseenFor {
		return nil
	}
	if len(f.all) >= maxForeseen {
		for r, one := range f.all {
			if now.Sub(one.at) >= foreseenFor {
				delete(f.all, r)
			}
		}
		if len(f.all) >= maxForeseen {
			return nil
		}
	}
	if f.all == nil {
		f.all = map[string]*foresight{}
	}
	one := &foresight{told: make(chan struct{}), at: now}
	f.all[record] = one
	return one
}

// take returns what was said of a record, once, and waits for it where it is on the way; false: it was not asked for.
func (f *foreseen) take(ctx context.Context, record string) (answers, bool) {
	f.mu.Lock()
	one, ok := f.all[record]
	delete(f.all, record)
	f.mu.Unlock()
	if !ok || time.Since(one.at) >= foreseenFor {
		return answers{}, false
	}
	select {
	case <-one.told:
		return one.answers, true
	case <-ctx.Done():
		return answers{}, false
	}
}

// foresee asks for a session by a hint, if its service has any and nothing is known of it here. It does not block.
func (k *Keeper) foresee(service, record string) {
	h, ok := k.cfg.Committed(service).(hinting)
	if !ok {
		return
	}
	key := recordKey(record)
	if _, here := k.local(service, key); here {
		return
	}
	if one := k.foreseen.begin(record, time.Now()); one != nil {
		go func() {
			defer close(one.told)
			one.answers = k.hint(context.Background(), h, replica.Record{Key: key, Service: service})
		}()
	}
}

// Suspected takes in that a gateway is probably lost: the sessions of requests that went there a moment ago are asked for
// here next, as soon as it is fenced, and so are those that still go there. It may take a moment.
func (k *Keeper) Suspected(gateway string) {
	k.foreseen.suspect(gateway, time.Now())
	for record, service := range k.relays.lately(gateway, time.Now()) {
		k.foresee(service, record)
	}
}
