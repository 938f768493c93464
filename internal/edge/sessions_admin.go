package edge

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/admin"
	"github.com/quorate/quorate/internal/keeper"
	"github.com/quorate/quorate/internal/replica"
)

// sessionsAPI is what operators see of sessions.
func (e *Edge) sessionsAPI() *admin.Sessions {
	return &admin.Sessions{List: e.sessionList, One: e.oneSession, Dropped: e.droppedSessions}
}

func (e *Edge) sessionList() admin.SessionList {
	k := e.sessions
	f, room, used := k.keeper.Figures(), k.records.Room(), k.store.Usage()
	l := admin.SessionList{
		Gateway: e.cfg.Load().Name, Reasons: e.keeping(), LagMS: milliseconds(k.store.Lag()), States: map[string]int{},
		Records: used.Records, Bytes: used.Bytes, Committed: room.Records, CommittedBytes: room.Bytes,
		Claims: f.Claims, Relays: f.Relays, Releases: f.Released, Lost: f.Lost, Dropped: f.Dropped,
	}
	l.Kept = k.keeper.Life() != 0 && k.key.Key() != nil
	if !l.Kept && len(l.Reasons) == 0 {
		l.Reasons = []string{"this gateway has no life in the control group, or a member runs an older release"}
	}
	for state, n := range k.store.Counts() {
		l.States[string(state)] = n
	}
	waiting, lag := k.keeper.Waiting()
	l.LagMS = max(l.LagMS, milliseconds(lag))
	for state, n := range waiting { // their copies here are those of the states before
		l.States[string(state)] += n
		l.States[string(replica.Synced)] = max(l.States[string(replica.Synced)]-n, 0)
	}
	for gateway, n := range k.keeper.Owners() {
		if gateway == "" {
			l.Unclaimed = n
			continue
		}
		l.Owners = append(l.Owners, admin.SessionOwner{Gateway: gateway, Sessions: n})
	}
	return l
}

func (e *Edge) oneSession(ctx context.Context, name string) (admin.Session, error) {
	s, err := e.sessions.keeper.Look(ctx, name)
	if errors.Is(err, keeper.ErrUnknown) {
		return admin.Session{}, admin.ErrNoSession
	}
	if err != nil {
		return admin.Session{}, err
	}
	out := admin.Session{
		Session: s.Session, Service: s.Service, Owner: s.Owner, Life: s.Life, Minter: s.Minter, Ended: s.Ended, Ballot: s.Ballot,
		Version: s.Version, Deleted: s.Deleted, Strategy: "async", State: s.State, LagMS: milliseconds(s.Lag),
		Minted: admin.Time{Time: s.Minted}, Until: admin.Time{Time: s.Until}, Source: s.From,
	}
	switch s.Class {
	case keeper.Quorum:
		out.Strategy = "quorum"
	case keeper.Stored:
		out.Strategy, out.Revision = "store", s.Revision
	}
	for _, c := range s.Copies {
		out.Copies = append(out.Copies, admin.Copy{Gateway: c.Gateway, Up: c.Up, Newest: c.Has, Ballot: c.Ballot, Version: c.Version})
	}
	return out, nil
}

func (e *Edge) droppedSessions() admin.DroppedList {
	all, more := e.sessions.keeper.Dropped()
	return admin.DroppedList{Gateway: e.cfg.Load().Name, Dropped: droppedOf(all), More: more}
}

func droppedOf(all []keeper.Dropped) []admin.Dropped {
	out := make([]admin.Dropped, 0, len(all))
	for _, d := range all {
		out = append(out, admin.Dropped{
			Gateway: d.Gateway, Session: d.Session, Service: d.Service, Changes: d.Changes, Deleted: d.Deleted, Owner: d.Owner, At: admin.Time{Time: d.At},
		})
	}
	return out
}

// Copies are on their way while they are compared: what differs has to differ for some time.
const (
	comparisons  = 5
	compareAgain = 400 * time.Millisecond
)

// withCopies adds to an agreement what comparing the copies of sessions gives.
func (e *Edge) withCopies(ctx context.Context, a admin.Agreement) admin.Agreement {
	if e.sessions.store == nil {
		return a
	}
	all := e.sessions.keeper.Compare(ctx, false)
	for n := 1; n < comparisons && ctx.Err() == nil && e.unsettled(all, a.Replies); n++ {
		select {
		case <-time.After(compareAgain):
		case <-ctx.Done():
		}
		all = e.sessions.keeper.Compare(ctx, false)
	}
	for _, c := range all {
		to := comparedCopies(c)
		a.Agreed = a.Agreed && to.Agrees
		a.Copies = append(a.Copies, to)
	}
	for _, r := range a.Replies {
		if !e.lifeless(r, all) {
			continue
		}
		a.Agreed = false
		a.Copies = append(a.Copies, admin.ComparedCopies{Gateway: r.Gateway, Problem: "it has no life in the control group now: ask again in a moment"})
	}
	return a
}

// unsettled reports whether asking again may say something else: copies differ, or somebody who is there was not compared,
// as one who has joined a moment ago is not.
func (e *Edge) unsettled(all []keeper.Compared, replies []admin.Compared) bool {
	for _, r := range replies {
		silent := func(c keeper.Compared) bool { return slices.Contains(c.Silent, r.Gateway) }
		if e.lifeless(r, all) || r.Reached && slices.ContainsFunc(all, silent) {
			return true
		}
	}
	return slices.ContainsFunc(all, func(c keeper.Compared) bool { return len(c.Differ) > 0 })
}

// lifeless reports whether a gateway is there, has copies to keep, and is not among those compared.
func (e *Edge) lifeless(r admin.Compared, all []keeper.Compared) bool {
	return r.Reached && !e.isWitnessNamed(r.Gateway) && !slices.ContainsFunc(all, func(c keeper.Compared) bool { return c.Gateway == r.Gateway })
}

// isWitnessNamed reports whether a gateway is a witness, which has no copies.
func (e *Edge) isWitnessNamed(gateway string) bool {
	return slices.ContainsFunc(voters{e}.List(), func(v admin.Voter) bool { return v.Name == gateway && v.Role == admin.RoleWitness })
}

func comparedCopies(c keeper.Compared) admin.ComparedCopies {
	to := admin.ComparedCopies{Gateway: c.Gateway, Records: c.Records, Agrees: c.Same(), Problem: c.Problem}
	if len(c.Silent) > 0 {
		to.Problem = "not compared with " + strings.Join(c.Silent, ", ")
	}
	for _, d := range c.Differ {
		to.Differ = append(to.Differ, admin.Differed{With: d.With, Slots: d.Slots, Missing: d.Missing, Ahead: d.Ahead})
	}
	return to
}
