package keeper

import (
	"context"
	"testing"
	"time"

	"github.com/quorate/quorate/gateway/session"
	"github.com/quorate/quorate/internal/replica"
)

// TestAdopted: contents that a store keeps already, with the ballot promised, are served before it knows their new owner,
// and are no change that could be lost. Newer ones, of a copy, are put there before anybody sees them.
func TestAdopted(t *testing.T) {
	for name, c := range map[string]struct {
		copied uint64 // version of the copies
		at     uint64 // version that the store has when the session is found
		waits  int
	}{
		"kept":   {0, 5, 1},
		"copied": {7, 8, 0},
	} {
		t.Run(name, func(t *testing.T) {
			fleet(t, func(t *testing.T, w *world, id string) {
				rec, _ := recordOf(w.key, id)
				key := recordKey(rec)
				state := func(version uint64) *replica.Record {
					return &replica.Record{Key: key, Service: "s", Owner: "a", Version: version, Contents: contentsOf(version)}
				}
				s := &shelf{far: 400 * time.Millisecond, has: state(5)}
				w.mu.Lock()
				for _, m := range w.gws {
					clear(m.copies)
				}
				if c.copied > 0 {
					w.gws["c"].copies[key] = *state(c.copied)
				}
				w.mu.Unlock()
				k := w.gws["b"].keeper
				k.cfg.Committed = func(string) Committed { return s }
				w.end("a")
				<-time.After(time.Second) // everybody has heard of it
				if f := w.find(t, "b", id); f.Where != session.Here || string(f.Contents) != string(contentsOf(max(c.copied, 5))) {
					t.Fatalf("%v %q", f.Where, f.Contents)
				}
				if s.has.Version != c.at || len(k.pending.waiting()) != c.waits {
					t.Errorf("the store has version %d, want %d; %d wait, want %d", s.has.Version, c.at, len(k.pending.waiting()), c.waits)
				}
				if lost := k.alone(); len(lost) > 0 {
					t.Errorf("%d changes would be reported lost", len(lost))
				}
				before := s.has.Version
				k.flushOnce(t.Context())
				if s.has.Version != before {
					t.Error("the owner's name was put at once, where other sessions are still to be taken over")
				}
				if states, lag := k.Waiting(); len(states) > 0 || lag > 0 {
					t.Errorf("%v wait for up to %s, and all of it is kept", states, lag)
				}
				<-time.After(adoptedFor)
				k.flushOnce(t.Context())
				if s.has.Owner != "b" || s.has.Ballot == 0 || len(k.pending.waiting()) > 0 {
					t.Errorf("later the store has %q under ballot %d; %d wait", s.has.Owner, s.has.Ballot, len(k.pending.waiting()))
				}
				next := *s.has
				next.Version++
				if err := k.pending.add(next); err != nil {
					t.Fatal(err)
				}
				if len(k.alone()) != 1 {
					t.Error("control: a change that waits would not be reported lost")
				}
				if states, _ := k.Waiting(); states[replica.Pending] != 1 {
					t.Errorf("control: of a change that waits it is said: %v", states)
				}
			})
		})
	}
}

// asked notes when a ballot is asked to be promised first.
type asked struct {
	*shelf
	at time.Time
}

func (a *asked) Take(ctx context.Context, r replica.Record) (replica.Record, bool, error) {
	a.mu.Lock()
	if a.at.IsZero() {
		a.at = time.Now()
	}
	a.mu.Unlock()
	return a.shelf.Take(ctx, r)
}

// TestYield: who is far from the group's leader leaves the store to others first, for as long as its claim takes to arrive;
// who has none to leave it to does not wait.
func TestYield(t *testing.T) {
	for name, c := range map[string]struct {
		far, after time.Duration
		bare       bool
	}{
		"far":                 {far: 80 * time.Millisecond, after: 40 * time.Millisecond},
		"at the leader":       {},
		"in copies, or alike": {far: 80 * time.Millisecond, bare: true},
	} {
		t.Run(name, func(t *testing.T) {
			fleet(t, func(t *testing.T, w *world, id string) {
				rec, _ := recordOf(w.key, id)
				r := &replica.Record{Key: recordKey(rec), Service: "s", Owner: "a", Version: 5, Contents: contentsOf(5)}
				s := &asked{shelf: &shelf{has: r, old: r}}
				w.mu.Lock()
				for _, m := range w.gws {
					clear(m.copies)
				}
				w.mu.Unlock()
				w.gws["b"].toLeader = c.far
				kept := Committed(s)
				if c.bare {
					kept = unhinted{s}
				}
				w.gws["b"].keeper.cfg.Committed = func(string) Committed { return kept }
				w.end("a")
				<-time.After(time.Second) // everybody has heard of it
				began := time.Now()
				if f := w.find(t, "b", id); f.Where != session.Here {
					t.Fatalf("%v", f.Where)
				}
				if after := s.at.Sub(began); after != c.after {
					t.Errorf("asked for a promise after %s, want %s", after, c.after)
				}
			})
		})
	}
}

// TestAdoptedInVain: what waits for its new owner's name waits no more once that one owns it no more.
func TestAdoptedInVain(t *testing.T) {
	fleet(t, func(t *testing.T, w *world, id string) {
		rec, _ := recordOf(w.key, id)
		s := &shelf{far: 10 * time.Millisecond, has: &replica.Record{Key: recordKey(rec), Service: "s", Owner: "a", Version: 5, Contents: contentsOf(5)}}
		w.mu.Lock()
		for _, m := range w.gws {
			clear(m.copies)
			m.keeper.cfg.Committed = func(string) Committed { return s }
		}
		w.mu.Unlock()
		k := w.gws["b"].keeper
		w.end("a")
		<-time.After(time.Second)
		if f := w.find(t, "b", id); f.Where != session.Here || len(k.pending.waiting()) != 1 {
			t.Fatalf("%v, %d wait", f.Where, len(k.pending.waiting()))
		}
		w.end("b")
		<-time.After(time.Second)
		k.flushOnce(t.Context())
		if n := len(k.pending.waiting()); n > 0 || s.has.Owner != "a" {
			t.Errorf("%d wait, and the store has %q", n, s.has.Owner)
		}
		if f := w.find(t, "c", id); f.Where != session.Here || string(f.Contents) != string(contentsOf(5)) {
			t.Errorf("%v %q", f.Where, f.Contents)
		}
	})
}
