package keeper

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/gateway/session"
	"github.com/quorate/quorate/internal/replica"
)

// council keeps contents for all gateways of a world, and judges as the control group does. Who is away from it gets
// nothing committed.
type council struct {
	w     *world
	class Class // of every service
	blind bool  // nobody looks there for contents of a service that is of another class now

	mu      sync.Mutex
	records map[replica.Key]replica.Record
	vows    map[replica.Key]uint64
	away    map[string]bool
}

// convened has the gateways of a world use a council.
func convened(w *world) *council {
	g := &council{w: w, class: Quorum, records: map[replica.Key]replica.Record{}, vows: map[replica.Key]uint64{}, away: map[string]bool{}}
	for _, m := range w.gws {
		m.keeper.cfg.Plan = func(string) Plan { return Plan{Class: g.now(), Copies: 2, Timeout: time.Second, Retries: 3} }
		m.keeper.cfg.Committed = func(service string) Committed {
			if service == "" && !g.blind || service != "" && g.now() == Quorum {
				return seat{g, m}
			}
			return nil
		}
	}
	return g
}

func (g *council) now() Class {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.class
}

// use has every service be of another class.
func (g *council) use(c Class) {
	g.mu.Lock()
	g.class = c
	g.mu.Unlock()
	for _, m := range g.w.gws {
		m.keeper.Replaced()
	}
}

func (g *council) stand(name string, away bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.away[name] = away
}

// seat is one gateway's way to the group.
type seat struct {
	*council
	m *member
}

func (s seat) reached() error {
	if !s.m.Allow() || s.away[s.m.name] {
		return ErrNoQuorum
	}
	return nil
}

func (s seat) Get(k replica.Key) (replica.Record, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.records[k]
	return r, ok
}

func (s seat) Each(f func(replica.Record) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.records {
		if !f(r) {
			return
		}
	}
}

func (s seat) Look(_ context.Context, k replica.Key) (replica.Record, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.records[k]
	return r, ok, s.reached()
}

func (s seat) Take(_ context.Context, r replica.Record) (replica.Record, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.reached(); err != nil {
		return replica.Record{}, false, err
	}
	if s.vows[r.Key] > r.Ballot {
		return replica.Record{}, false, replica.ErrStale
	}
	s.vows[r.Key] = r.Ballot
	now, ok := s.records[r.Key]
	return now, ok, nil
}

func (s seat) Put(_ context.Context, r replica.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, ok := s.records[r.Key]
	switch err := s.reached(); {
	case err != nil:
		return err
	case ok && now.Deleted && r.Deleted:
		return nil
	case ok && now.Deleted, r.Ballot < s.vows[r.Key]:
		return replica.ErrStale
	case ok && newer(&now, &r):
		return nil
	}
	s.records[r.Key], s.vows[r.Key] = r, max(s.vows[r.Key], r.Ballot)
	return nil
}

// TestEndOfAFormerLife: an end that could not be committed is no acknowledged one. It goes on waiting through the life of
// the gateway in which it was asked for, until it is committed, or somebody has gone on with the session meanwhile: then
// it is dropped, and reported.
func TestEndOfAFormerLife(t *testing.T) {
	for _, claimed := range []bool{false, true} {
		fleet(t, func(t *testing.T, w *world, _ string) {
			g, a := convened(w), w.gws["a"]
			go a.keeper.Run(t.Context())
			id := w.open(t.Context(), "a")
			g.stand("a", true)
			if err := a.keeper.Drop(t.Context(), "s", id, session.Change); err == nil {
				t.Error("what is not committed is acknowledged")
			}
			if err := a.keeper.Keep(t.Context(), "s", id, contentsOf(7), session.Change); !errors.Is(err, session.ErrTaken) {
				t.Errorf("a change behind its end: %v", err)
			}
			w.end("a")
			<-time.After(time.Second)
			if f := session.Here; claimed {
				if got := w.find(t, "b", id); got.Where != f {
					t.Errorf("nobody was told of its end: %+v", got)
				}
			}
			w.join("a")
			<-time.After(time.Second)
			g.stand("a", false)
			<-time.After(5 * time.Second)
			want := map[bool]session.Where{false: session.Unknown, true: session.Here}[claimed]
			if f := w.find(t, "b", id); f.Where != want {
				t.Errorf("claimed %v: %+v", claimed, f)
			}
			all, _ := a.keeper.Dropped()
			if claimed != (len(all) == 1 && all[0].Deleted && all[0].Owner == "b") {
				t.Errorf("claimed %v: dropped %+v", claimed, all)
			}
			if left := a.keeper.pending.waiting(); len(left) > 0 {
				t.Errorf("claimed %v: %+v still wait", claimed, left)
			}
		})
	}
}

// TestBackFromQuorum: a service that goes from the group back to copies takes its contents along, whether its owner had the
// time to copy them or not. Where nobody looks in the group any more they are lost.
func TestBackFromQuorum(t *testing.T) {
	for name, c := range map[string]struct {
		moved, changed, blind bool
		want                  uint64
		where                 session.Where
	}{
		"copied by its owner":     {moved: true, where: session.Here, want: 3},
		"changed since":           {moved: true, changed: true, where: session.Here, want: 4},
		"changed before the move": {changed: true, where: session.Here, want: 4},
		"lost before the move":    {where: session.Here, want: 3},
		"control: not looked for": {blind: true, where: session.Unknown},
	} {
		fleet(t, func(t *testing.T, w *world, _ string) {
			g, a := convened(w), w.gws["a"]
			id := w.open(t.Context(), "a")
			for n := range uint64(4) {
				if err := a.keeper.Keep(t.Context(), "s", id, contentsOf(n), session.Change); err != nil {
					t.Fatal(err)
				}
			}
			g.use(Async)
			g.blind = c.blind
			record, _ := recordOf(w.key, id)
			if c.moved {
				go a.keeper.Run(t.Context())
				<-time.After(time.Second)
				if r, ok := w.gws["b"].Get(recordKey(record)); !ok || string(r.Contents) != "3" {
					t.Errorf("%s: the copy at b is %+v, %v", name, r, ok)
				}
			}
			if c.changed {
				if err := a.keeper.Keep(t.Context(), "s", id, contentsOf(4), session.Change); err != nil {
					t.Fatal(err)
				}
				<-time.After(time.Second)
			}
			w.end("a")
			<-time.After(time.Second)
			if f := w.find(t, "b", id); f.Where != c.where || f.Where == session.Here && string(f.Contents) != string(contentsOf(c.want)) {
				t.Errorf("%s: %+v", name, f)
			}
		})
	}
}
