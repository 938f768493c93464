package keeper

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/session"
	"github.com/quorate/quorate/internal/replica"
)

// fetch gets the contents of a session that this gateway has claimed, from whoever has the newest, and keeps them under
// the claim's ballot. Nothing is kept under it before.
func (f *finding) fetch(ctx context.Context, woken <-chan struct{}) bool {
	round, cancel := f.round(ctx)
	defer cancel()
	r := replica.Record{Key: recordKey(f.record), Service: f.service, Ballot: uint64(f.s.Owner.Ballot), Until: f.id.Until().Unix()}
	a, err := f.holdings(round, r)
	if errors.Is(err, replica.ErrStale) {
		f.outdone = f.s.Owner.Ballot
	}
	if err != nil {
		f.k.log.Debug("contents of a session are not fetched", "session", f.hash(), "cause", err.Error())
		f.pause(ctx, woken)
		return false
	}
	if len(a.silent) > 0 && !f.delayed {
		f.delayed = true
		f.hear(ctx, a.silent)
		return false
	}
	if !a.found && f.given == nil {
		return f.gone(a)
	}
	if len(a.silent) > 0 {
		f.unheard(a)
	}
	return f.adopt(ctx, woken, r, a)
}

// ahead asks the holders while the claim is on its way. What they promise is to refuse the ballot of the owner, whose
// life has ended, or who has given the session away: nothing between it and the claim's can come. What it returns waits
// for the answers, or gives them up.
func (f *finding) ahead(ctx context.Context) (answered func(wanted bool) *answers) {
	ctx, cancel := context.WithTimeout(ctx, oneRound)
	r := replica.Record{Key: recordKey(f.record), Service: f.service, Ballot: uint64(f.s.Owner.Ballot) + 1, Until: f.id.Until().Unix()}
	done := make(chan *answers, 1)
	go func() {
		f.yield(ctx)
		a, err := f.k.gather(ctx, r)
		if err != nil || a.incomplete() {
			done <- nil
			return
		}
		done <- &a
	}()
	return func(wanted bool) *answers {
		if !wanted {
			cancel()
		}
		a := <-done // within ctx's time
		cancel()
		return a
	}
}

// yield leaves the store to whoever is nearer to the group's leader for as long as costs nothing, since a claim takes longer:
// of two that take over the same session, for a call and for a stream of its agent, that one is the first, and the
// promise of the other would only have its own written again.
func (f *finding) yield(ctx context.Context) {
	if _, ok := f.k.cfg.Committed(f.service).(hinting); ok {
		pause(ctx, nil, f.k.cfg.Authority.ToLeader()/2)
	}
}

// holdings is what the holders have, by what they said before the claim was committed, or by another question.
func (f *finding) holdings(ctx context.Context, r replica.Record) (answers, error) {
	early := f.early
	f.early = nil
	if early != nil && f.earlyFor == f.s.Owner.Ballot {
		return *early, nil
	}
	return f.k.gather(ctx, r)
}

// hear gives those who did not answer as long as their promises may last, or until their lives have ended.
func (f *finding) hear(ctx context.Context, silent []string) {
	until := time.Now().Add(f.k.cfg.Authority.Promise())
	for ctx.Err() == nil && time.Now().Before(until) {
		woken := f.k.woken()
		if !slices.ContainsFunc(f.k.unheard(nil), func(g string) bool { return slices.Contains(silent, g) && !f.k.up(g) }) {
			return
		}
		pause(ctx, woken, min(lookEvery, time.Until(until)))
	}
}

// unheard tells that somebody may have had newer contents.
func (f *finding) unheard(a answers) {
	f.k.figures.unheard.Add(1)
	for _, g := range a.silent {
		f.k.cfg.Event(EventUnheard, g, "session "+f.hash()+" goes on here without having heard "+g)
	}
}

// gone is for a session of which nobody who answers has a copy.
func (f *finding) gone(a answers) bool {
	if a.incomplete() {
		f.finished = nowhere(mcp.NoAuthority(mcp.ReasonCopies, time.Second))
		return true
	}
	f.k.figures.lost.Add(1)
	f.k.cfg.Event(EventLost, f.id.Minter.Gateway, "session "+f.hash()+" is lost: its owner has ended, and no gateway has a copy")
	f.finished = session.Found{}
	return true
}

// adopt keeps what was found, or what the owner gave away, as this gateway's own. What somebody has deleted stays so.
func (f *finding) adopt(ctx context.Context, woken <-chan struct{}, r replica.Record, a answers) bool {
	newest := a.newest
	if newest.Service != "" {
		r.Service = newest.Service
	}
	r.Owner, r.Version, r.Deleted, r.Contents = f.k.cfg.Gateway, newest.Version+1, newest.Deleted, newest.Contents
	if f.given != nil && !newest.Deleted && newest.Ballot <= uint64(f.givenAt) { // else somebody has gone on since
		r.Contents = f.given
	}
	if now, ok := f.k.local(f.service, r.Key); ok && now.Ballot == r.Ballot { // kept by another question meanwhile
		return false
	}
	// Where its contents are kept already, and no lower ballot is taken any more, nobody waits for the owner's name there.
	if a.placed && f.given == nil && !r.Deleted && f.k.pending.adopt(r) == nil {
		return false
	}
	err := f.k.put(ctx, r, 0)
	if err == nil {
		f.k.pending.forget(r.Key, r.Ballot)
		return false // the next look finds it here
	}
	if full := agentError(err); !retried(err) {
		f.finished = nowhere(full)
		return true
	}
	f.pause(ctx, woken)
	return false
}

// retried reports whether the same state may be kept a moment later.
func retried(err error) bool {
	return errors.Is(err, replica.ErrLag) || errors.Is(err, replica.ErrStale) || errors.Is(err, ErrNoQuorum)
}

// agentError is what an agent is told of a session that could not be kept; nil where nothing but "not now" is to say.
func agentError(err error) *mcp.Error {
	switch {
	case errors.Is(err, replica.ErrLag):
		return mcp.Overloaded("replication_lag", time.Second)
	case errors.Is(err, replica.ErrTooLarge):
		return mcp.Overloaded("session_size", 0)
	case errors.Is(err, replica.ErrFull):
		return mcp.Overloaded("session_copies", time.Second)
	case errors.Is(err, replica.ErrDisk):
		return mcp.Overloaded("disk", 5*time.Second)
	case errors.Is(err, ErrStoreAway):
		return mcp.NothingFits("session_store", time.Second)
	case errors.Is(err, ErrNoQuorum):
		return mcp.NoAuthority(mcp.ReasonMinority, time.Second)
	}
	return mcp.NothingFits("session_store", time.Second)
}
