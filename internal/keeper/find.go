package keeper

import (
	"context"
	"errors"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/session"
	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/keeper/sessionid"
	"github.com/quorate/quorate/internal/planted"
	"github.com/quorate/quorate/internal/replica"
)

const (
	// patience bounds what a request waits for an owner's end, or for a link with it.
	patience = 5 * time.Second
	// short bounds what it waits for leave to write.
	short = 2 * time.Second
	// margin is left of a caller's time to say how it ended.
	margin = 20 * time.Millisecond
	// lookEvery is how often those who wait look again, besides being woken.
	lookEvery = 50 * time.Millisecond
	// askEvery is how often those are asked again who did not answer.
	askEvery = 500 * time.Millisecond
	// oneRound bounds one question to all holders of a record.
	oneRound = time.Second
)

// finding is one question for a session, on its way.
type finding struct {
	k       *Keeper
	id      sessionid.ID
	text    string // the id as the agent has it; a secret
	service string
	record  string
	began   time.Time
	until   time.Time // nothing is waited for after

	s        situation
	local    replica.Record
	given    []byte          // what the owner gave away
	givenAt  authority.Index // under this ballot
	asked    bool
	answers  answers
	looked   bool
	early    *answers        // what the holders said while the claim was on its way; nil: not all of them did
	earlyFor authority.Index // the claim
	outdone  authority.Index // of this gateway's claims, the one than which a holder knows a higher
	delayed  bool            // those who did not answer have had their time
	every    time.Duration   // until it looks again
	tailing  bool            // nobody asks for it: it is this gateway's own former session
	finished session.Found
}

// Find implements session.Keeper.
func (k *Keeper) Find(ctx context.Context, service, id string) (session.Found, error) {
	key := k.cfg.Key()
	if key == nil {
		if sessionid.Shaped(id) {
			return nowhere(mcp.NothingFits("starting", time.Second)), nil
		}
		return session.Found{}, nil
	}
	sid, err := sessionid.Parse(key, id)
	if err != nil || sid.Over(k.now()) {
		return session.Found{}, nil //nolint:nilerr // a forged id is nobody's
	}
	f := &finding{k: k, id: sid, text: id, service: service}
	return f.find(ctx)
}

func nowhere(why *mcp.Error) session.Found { return session.Found{Where: session.Nowhere, Why: why} }

// find waits for its turn and decides.
func (f *finding) find(ctx context.Context) (session.Found, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	f.record, f.began = f.id.Record(), time.Now()
	if until, ok := ctx.Deadline(); ok {
		f.until = until.Add(-margin)
	}
	done, err := f.k.turns.take(ctx, f.record)
	if err != nil {
		return f.nobody(), nil //nolint:nilerr // as good as a wait that was in vain
	}
	defer done()
	for ctx.Err() == nil {
		woken := f.k.woken() // before it is looked: what happens meanwhile wakes
		f.look()
		if f.step(ctx, woken, f.s.next()) {
			return f.finished, nil
		}
	}
	return f.nobody(), nil
}

// nobody is the answer of who runs out of time: it is the owner who is missing, or those who may hold copies.
func (f *finding) nobody() session.Found {
	if f.s.Ended && f.looked && f.answers.incomplete() {
		return nowhere(mcp.NoAuthority(mcp.ReasonCopies, time.Second))
	}
	return nowhere(mcp.NoAuthority(mcp.ReasonOwner, time.Second))
}

// look takes in how things stand.
func (f *finding) look() {
	a := f.k.cfg.Authority
	s := situation{Me: a.Life(), Gate: a.Allow(), Owner: a.Owner(f.record, f.id.Minter), Over: f.id.Over(f.k.now())}
	s.Ended = a.Ended(s.Owner.Owner)
	direct := f.k.up(s.Owner.Owner.Gateway)
	s.Up = direct || f.k.Third(s.Owner.Owner.Gateway) != ""
	var ok bool
	if f.local, ok = f.k.local(f.service, recordKey(f.record)); ok {
		s.At, s.Here = authority.Index(f.local.Ballot), live
		if f.local.Deleted {
			s.Here = deleted
		}
		s.Over = s.Over || f.local.Service != f.service // of another service: here nobody has it
	}
	s.Released = f.k.released.under(f.record, s.Owner.Ballot)
	s.Ahead = f.outdone != 0 && f.outdone == s.Owner.Ballot
	s.Due = direct && !f.tailing && !f.asked && f.k.relays.due(f.record)
	s.Given = f.given != nil && f.givenAt == s.Owner.Ballot
	s.Looked, s.Found, s.Silent = f.looked, f.answers.held(), f.answers.incomplete()
	waited := time.Since(f.began)
	if planted.On(planted.Squatter) && s.Here == live {
		s.Owner.Owner, s.Owner.Ballot, s.Released = s.Me, s.At, false
	}
	s.Soon, s.Late = waited > short || time.Now().After(f.until), time.Now().After(f.until)
	f.s, f.every = s, lookEvery
}

// step does one thing, and reports whether the question is answered.
func (f *finding) step(ctx context.Context, woken <-chan struct{}, what step) bool {
	switch what {
	case unknown:
		f.finished = session.Found{}
	case here:
		f.finished = session.Found{Where: session.Here, Contents: f.local.Contents, Life: uint64(f.s.Me.Incarnation)}
	case relay:
		f.relay(f.s.Owner.Owner.Gateway, time.Now())
	case ask:
		f.ask(ctx)
		return false
	case look:
		f.around(ctx, woken)
		return false
	case take:
		f.take(ctx, woken)
		return false
	case fetch:
		return f.fetch(ctx, woken)
	case wait:
		f.wait(ctx, woken)
		return false
	case minority:
		f.finished = nowhere(mcp.NoAuthority(mcp.ReasonMinority, time.Second))
	case missing:
		f.finished = nowhere(mcp.NoAuthority(mcp.ReasonCopies, time.Second))
	default:
		f.finished = f.nobody()
	}
	return true
}

// relay sends the request to the owner, and prepares for the end of one that is probably lost.
func (f *finding) relay(owner string, now time.Time) {
	f.k.relays.another(f.record, f.service, owner, now)
	if f.k.foreseen.suspects(owner, now) {
		f.k.foresee(f.service, f.record)
	}
	f.finished = session.Found{Where: session.There, Gateway: owner}
}

// wait lets time pass until something has changed. Meanwhile it asks who reaches an owner that is cut off from here.
func (f *finding) wait(ctx context.Context, woken <-chan struct{}) {
	if owner := f.s.Owner.Owner; !f.s.Ended && !f.s.Up && owner.Gateway != f.k.cfg.Gateway && f.k.reach(ctx, owner.Gateway) {
		return
	}
	if f.looked && f.answers.incomplete() {
		f.looked, f.every = false, askEvery
	}
	if !f.s.Ended && !f.s.Up {
		f.k.foresee(f.service, f.record)
	}
	f.pause(ctx, woken)
}

// pause lets time pass, until it looks once more when its time is over and can still say why.
func (f *finding) pause(ctx context.Context, woken <-chan struct{}) {
	pause(ctx, woken, max(min(f.every, time.Until(f.until)), time.Millisecond))
}

// round is the time for a question to all holders, which leaves some to say how it ended.
func (f *finding) round(ctx context.Context) (context.Context, context.CancelFunc) {
	until := time.Now().Add(oneRound)
	if !f.until.IsZero() && f.until.Before(until) {
		until = f.until
	}
	return context.WithDeadline(ctx, until)
}

func pause(ctx context.Context, woken <-chan struct{}, bound time.Duration) {
	t := time.NewTimer(bound)
	defer t.Stop()
	select {
	case <-woken:
	case <-t.C:
	case <-ctx.Done():
	}
}

// around asks the holders, without asking them for a promise.
func (f *finding) around(ctx context.Context, woken <-chan struct{}) {
	round, cancel := f.round(ctx)
	defer cancel()
	a, err := f.k.glance(round, replica.Record{Key: recordKey(f.record), Service: f.service})
	if err != nil {
		f.k.log.Debug("copies of a session are not asked for", "session", f.hash(), "cause", err.Error())
		f.pause(ctx, woken)
		return
	}
	if a.found && !a.newest.Deleted && a.newest.Service != f.service {
		a = answers{} // of another service: here nobody has it
	}
	f.looked, f.answers = true, a
}

// take claims the session, by whatever right there is.
func (f *finding) take(ctx context.Context, woken <-chan struct{}) {
	s := &f.s
	early := f.ahead(ctx)
	ballot, err := f.k.cfg.Authority.Claim(ctx, authority.Take{
		Record: f.record, Minter: f.id.Minter, Replaces: s.Owner.Ballot, Claimant: s.Me, Released: s.Given || s.Released || s.Owner.Owner == s.Me,
	})
	f.early, f.earlyFor = early(err == nil), ballot
	if err == nil {
		f.k.figures.claims.Add(1)
		if s.At > s.Owner.Ballot || s.Ahead { // the next may be needed at once, and is an entry of the log too
			pause(ctx, woken, lookEvery/10)
		}
		return
	}
	f.k.log.Debug("claim of a session", "session", f.hash(), "cause", err.Error())
	if errors.Is(err, authority.ErrRefused) {
		f.looked = false // somebody was quicker, or the log has moved on
	}
	f.pause(ctx, woken)
}

func (f *finding) hash() string { return session.Hash(f.text) }
