package keeper

import (
	"context"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/keeper/sessionid"
)

const (
	// askBound is how long an owner has to give a session away.
	askBound = time.Second
	// maxReleased bounds what was given away and not claimed yet.
	maxReleased = 100_000
)

// request asks an owner to give a session away.
type request struct {
	Service string          `json:"service"`
	ID      string          `json:"id"`
	Ballot  authority.Index `json:"ballot"` // under which it is thought to own it
}

// gift is the answer.
type gift struct {
	Released bool   `json:"released"`
	Contents []byte `json:"contents,omitempty"`
}

// released are the sessions that this gateway has given away, by record, with the ballot under which it did. It serves
// them no more under that ballot, whoever asks.
type released struct {
	mu  sync.Mutex
	all map[string]authority.Index
}

// under reports whether a record was given away under this ballot.
func (r *released) under(record string, ballot authority.Index) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	b, ok := r.all[record]
	return ok && b == ballot
}

func (r *released) add(record string, ballot authority.Index) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.all) >= maxReleased {
		return false
	}
	if r.all == nil {
		r.all = map[string]authority.Index{}
	}
	r.all[record] = ballot
	return true
}

func (r *released) takeBack(record string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, record)
}

// forget drops what has been claimed since.
func (r *released) forget(a Authority, now time.Time) {
	r.mu.Lock()
	all := make(map[string]authority.Index, len(r.all))
	for record, ballot := range r.all {
		all[record] = ballot
	}
	r.mu.Unlock()
	for record, ballot := range all {
		id, err := sessionid.ParseRecord(record)
		if err != nil || a.Owner(record, id.Minter).Ballot > ballot || id.Over(now) {
			r.takeBack(record)
		}
	}
}

// giveAway stops serving a session for good under the ballot that the asker names, if this gateway owns it under that
// one and nothing is under way in it. That it was given away is noted first: in between nobody puts it back.
func (k *Keeper) giveAway(ctx context.Context, to string, in request) gift {
	sessions, key := k.sessions.Load(), k.cfg.Key()
	id, err := sessionid.Parse(key, in.ID)
	if sessions == nil || key == nil || err != nil {
		return gift{}
	}
	record := id.Record()
	done, err := k.turns.take(ctx, record)
	if err != nil {
		return gift{}
	}
	defer done()
	me, c := k.cfg.Authority.Life(), k.cfg.Authority.Owner(record, id.Minter)
	if me.Incarnation == 0 || c.Owner != me || c.Ballot != in.Ballot {
		return gift{}
	}
	again := k.released.under(record, c.Ballot)
	// What is not owned here now is being looked for: whoever looks would serve what he found.
	if !again && !(*sessions).Owns(in.Service, in.ID) || !k.released.add(record, c.Ballot) {
		return gift{}
	}
	contents, ok := (*sessions).Release(in.Service, in.ID)
	if !ok {
		if !again {
			k.released.takeBack(record)
		}
		return gift{}
	}
	k.pending.give(recordKey(record))
	k.figures.released.Add(1)
	k.log.Debug("session given away", "gateway", to)
	return gift{Released: true, Contents: contents}
}

// ask has the owner give the session away, and notes what it said.
func (f *finding) ask(ctx context.Context) {
	f.asked = true
	owner := f.s.Owner
	ctx, cancel := context.WithTimeout(ctx, askBound)
	defer cancel()
	var g gift
	err := f.k.question(ctx, owner.Owner.Gateway, "release", request{Service: f.service, ID: f.text, Ballot: owner.Ballot}, &g)
	if err != nil || !g.Released || g.Contents == nil {
		f.k.relays.refused(f.record)
		return
	}
	f.k.relays.moved(f.record)
	f.given, f.givenAt = g.Contents, owner.Ballot
}
