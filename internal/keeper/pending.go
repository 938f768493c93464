package keeper

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/keeper/sessionid"
	"github.com/quorate/quorate/internal/replica"
)

const (
	maxPending      = 200_000   // sessions
	maxPendingBytes = 256 << 20 // of their contents
	// flushEvery is how often what waits is tried again.
	flushEvery = 200 * time.Millisecond
	// flushAtOnce is how many are on their way at one time; they share entries.
	flushAtOnce = 256
	// adoptedFor is how long a state waits that has nothing new: when a gateway is lost, what is taken over comes first.
	adoptedFor = time.Second
)

// pending is the newest state of sessions that is not committed yet, in memory.
type pending struct {
	mu    sync.Mutex
	all   map[replica.Key]waiting
	bytes int
	work  chan struct{} // of one
}

// waiting is a state that waits.
type waiting struct {
	replica.Record
	since time.Time // of the oldest change that waits, or of the takeover
	tries int       // that came to nothing
	same  bool      // but for its owner, as what is kept already: nothing is lost with it
	given bool      // to another gateway, with the session
}

func (p *pending) get(k replica.Key) (replica.Record, bool) {
	w, ok := p.look(k)
	return w.Record, ok
}

func (p *pending) look(k replica.Key) (waiting, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w, ok := p.all[k]
	return w, ok
}

// failed counts a try for all that wait for it.
func (p *pending) failed(k replica.Key) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w, ok := p.all[k]; ok {
		w.tries++
		p.all[k] = w
	}
}

// state is what waits, as operators see it: failed after so many tries.
func (w *waiting) state(retries int) replica.State {
	if w.tries >= max(retries, 1) {
		return replica.Failed
	}
	return replica.Pending
}

// add keeps a state in the place of an older one. replica.ErrFull: there is no room.
func (p *pending) add(r replica.Record) error { return p.put(waiting{Record: r, since: time.Now()}) }

// adopt keeps a state that is another owner's and has nothing new.
func (p *pending) adopt(r replica.Record) error {
	return p.put(waiting{Record: r, since: time.Now(), same: true})
}

// put is add, and adopt.
func (p *pending) put(next waiting) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := next.Record
	old, was := p.all[r.Key]
	if was && newer(&old.Record, &r) {
		return nil
	}
	if was && !next.same && !old.same {
		next.since, next.tries = old.since, old.tries
	}
	bytes := p.bytes - len(old.Contents) + len(r.Contents)
	if !was && len(p.all) >= maxPending || bytes > maxPendingBytes {
		return replica.ErrFull
	}
	if p.all == nil {
		p.all = map[replica.Key]waiting{}
	}
	p.all[r.Key], p.bytes = next, bytes
	if next.same { // it has time
		return nil
	}
	select {
	case p.work <- struct{}{}:
	default:
	}
	return nil
}

// give notes that what waits of a session was given away with it.
func (p *pending) give(k replica.Key) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w, ok := p.all[k]; ok {
		w.given = true
		p.all[k] = w
	}
}

// forget drops what waits under this ballot or a lower one.
func (p *pending) forget(k replica.Key, ballot uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r, ok := p.all[k]; ok && r.Ballot <= ballot {
		p.bytes -= len(r.Contents)
		delete(p.all, k)
	}
}

// agreed drops this state, unless a newer one waits.
func (p *pending) agreed(r *replica.Record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now, ok := p.all[r.Key]; ok && !newer(&now.Record, r) {
		p.bytes -= len(now.Contents)
		delete(p.all, r.Key)
	}
}

func (p *pending) waiting() []waiting {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Values(p.all))
}

// flush has kept what waits, while this gateway may write.
func (k *Keeper) flush(ctx context.Context) {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-k.pending.work:
		}
		if k.cfg.Authority.Allow() {
			k.move(ctx)
			k.flushOnce(ctx)
		}
	}
}

func (k *Keeper) flushOnce(ctx context.Context) {
	var work sync.WaitGroup
	slots := make(chan struct{}, flushAtOnce)
	for _, w := range k.pending.waiting() {
		r := w.Record
		if r.Deleted && k.outlived(&r) {
			continue
		}
		if !k.mine(&r) && !k.bequeathed(&r) {
			if w.same || w.given && k.succeeded(&r) { // whoever owns it now has all of it
				k.pending.agreed(&r)
			}
			continue // its claim comes first; see tail
		}
		if w.same && time.Since(w.since) < adoptedFor {
			continue
		}
		slots <- struct{}{}
		work.Go(func() {
			defer func() { <-slots }()
			err := k.put(ctx, r, 0)
			switch {
			case err == nil, w.same && errors.Is(err, replica.ErrStale): // something newer is kept, which has all of it
				k.pending.agreed(&r)
			default:
				k.pending.failed(r.Key)
				k.log.Debug("a session is not committed yet", "cause", err.Error())
			}
		})
	}
	work.Wait()
}

// bequeathed reports whether a deletion is one of a former life of this gateway, whose session nobody has claimed since.
// It needs no claim: what keeps contents takes it under the ballot that it was made under, until a higher one is promised.
func (k *Keeper) bequeathed(r *replica.Record) bool {
	id, err := sessionid.ParseRecord(r.ID)
	if err != nil || !r.Deleted {
		return false
	}
	c := k.cfg.Authority.Owner(r.ID, id.Minter)
	return c.Owner.Gateway == k.cfg.Gateway && c.Ballot == authority.Index(r.Ballot) && k.cfg.Authority.Ended(c.Owner)
}

// outlived drops, and reports, a deletion of a session that another gateway has claimed before it was committed.
func (k *Keeper) outlived(r *replica.Record) bool {
	id, err := sessionid.ParseRecord(r.ID)
	if err != nil {
		return false
	}
	if !k.succeeded(r) {
		return false
	}
	k.drop(&change{*r, id, 1}, k.cfg.Authority.Owner(r.ID, id.Minter))
	return true
}

// succeeded reports whether another gateway has claimed a session since this state was made.
func (k *Keeper) succeeded(r *replica.Record) bool {
	id, err := sessionid.ParseRecord(r.ID)
	if err != nil {
		return false
	}
	c := k.cfg.Authority.Owner(r.ID, id.Minter)
	return c.Owner.Gateway != k.cfg.Gateway && c.Ballot > authority.Index(r.Ballot)
}

// mine reports whether this gateway owns a record under the ballot that the state names.
func (k *Keeper) mine(r *replica.Record) bool {
	id, err := sessionid.ParseRecord(r.ID)
	if err != nil {
		return false
	}
	c := k.cfg.Authority.Owner(r.ID, id.Minter)
	return c.Owner == k.cfg.Authority.Life() && c.Ballot == authority.Index(r.Ballot)
}
