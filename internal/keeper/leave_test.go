package keeper

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/session"
	"github.com/quorate/quorate/internal/replica"
)

// cellar is a former store, on a shelf that is near.
type cellar struct {
	*shelf
	away error
	left atomic.Int64
}

// Look implements Former.
func (c *cellar) Look(ctx context.Context, k replica.Key) (replica.Record, bool, error) {
	if c.away != nil {
		return replica.Record{}, false, c.away
	}
	return c.shelf.Look(ctx, k)
}

// Take implements Former.
func (c *cellar) Take(ctx context.Context, r replica.Record) (replica.Record, bool, error) {
	return c.Look(ctx, r.Key)
}

// Each implements Former.
func (c *cellar) Each(_ context.Context, f func(replica.Key) error) error {
	if c.has != nil && c.away == nil {
		return f(c.has.Key)
	}
	return c.away
}

// Left implements Former.
func (c *cellar) Left() { c.left.Add(1) }

// stored is a session of a that nobody has a copy of, and whose owner has ended; b has a former store.
func (w *world) stored(id string, away error) *cellar {
	record, _ := recordOf(w.key, id)
	c := &cellar{shelf: &shelf{has: &replica.Record{Key: recordKey(record), Service: "s", Owner: "a", Version: 3, Contents: contentsOf(7)}}, away: away}
	w.mu.Lock()
	for _, m := range w.gws {
		clear(m.copies)
	}
	w.mu.Unlock()
	k := w.gws["b"].keeper
	k.cfg.Former = func(string) Former {
		if c.left.Load() > 0 {
			return nil
		}
		return c
	}
	k.cfg.Formers = func() []string {
		if c.left.Load() > 0 {
			return nil
		}
		return []string{"s"}
	}
	w.end("a")
	<-time.After(time.Second) // everybody has heard of it
	return c
}

// What only a former store has is found there, and without it lost.
func TestFindInFormer(t *testing.T) {
	fleet(t, func(t *testing.T, w *world, id string) {
		w.stored(id, nil)
		if f := w.find(t, "b", id); f.Where != session.Here || string(f.Contents) != "7" {
			t.Errorf("%+v", f)
		}
	})
	fleet(t, func(t *testing.T, w *world, id string) {
		w.stored(id, nil).left.Store(1)
		if f := w.find(t, "b", id); f.Where != session.Unknown {
			t.Errorf("control: the store is not asked, and the session is %+v", f)
		}
	})
	fleet(t, func(t *testing.T, w *world, id string) {
		w.stored(id, errors.New("away"))
		if f := w.find(t, "b", id); f.Where != session.Nowhere || f.Why.Reason != mcp.ReasonCopies {
			t.Errorf("the store does not answer: %+v, reason %q", f, f.Why.Reason)
		}
	})
}

// A former store is gone through until it has nothing that nobody else has, then left; one that does not answer is left
// later.
func TestLeave(t *testing.T) {
	for name, away := range map[string]error{"answers": nil, "away": errors.New("away")} {
		fleet(t, func(t *testing.T, w *world, id string) {
			c := w.stored(id, away)
			b := w.gws["b"]
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go b.keeper.leave(ctx)
			<-time.After(10 * time.Second)
			record, minter := recordOf(w.key, id)
			if owner := w.owner(record, minter); (owner.Owner == b.Life()) != (away == nil) {
				t.Errorf("%s: it is %s's", name, owner.Owner)
			}
			if c.left.Load() > 0 {
				t.Errorf("%s: left at once", name)
			}
			<-time.After(leaveFor + leaveEvery)
			if (c.left.Load() == 1) != (away == nil) {
				t.Errorf("%s: left %d times after %s", name, c.left.Load(), leaveFor)
			}
			<-time.After(leavePatience)
			if c.left.Load() != 1 {
				t.Errorf("%s: left %d times in the end", name, c.left.Load())
			}
		})
	}
}
