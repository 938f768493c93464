package keeper

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/session"
	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/keeper/sessionid"
	"github.com/quorate/quorate/internal/replica"
)

// quiet has a session of a's in a world of three in which nothing is lost.
func quiet(t *testing.T, do func(ctx context.Context, w *world, id string)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, "a", "b", "c")
		ctx, cancel := context.WithCancel(t.Context())
		var work sync.WaitGroup
		for _, m := range w.gws {
			work.Go(func() { m.follow(ctx) })
		}
		<-time.After(time.Second)
		id := w.open(ctx, "a")
		<-time.After(time.Second)
		do(ctx, w, id)
		cancel()
		work.Wait()
		<-time.After(time.Second) // what is on its way
	})
}

// TestGiftOfLongAgo: what an owner gave away counts up to the next claim. Who has claimed since, and changed the session,
// is not undone by it.
func TestGiftOfLongAgo(t *testing.T) {
	for _, c := range []struct {
		ballot authority.Index // under which the newest copy was written
		want   uint64
	}{{0, 1}, {1, 7}} {
		quiet(t, func(ctx context.Context, w *world, id string) {
			m := w.gws["b"]
			record, _ := recordOf(w.key, id)
			sid, err := sessionid.Parse(w.key, id)
			if err != nil {
				t.Fatal(err)
			}
			f := &finding{k: m.keeper, id: sid, text: id, service: "s", record: record, given: contentsOf(1), every: time.Millisecond}
			r := replica.Record{Key: recordKey(record), Service: "s", Ballot: 9, Until: sid.Until().Unix()}
			newest := replica.Record{Key: r.Key, Service: "s", Ballot: uint64(c.ballot), Version: 3, Contents: contentsOf(7)}
			f.adopt(ctx, m.keeper.woken(), r, answers{newest: newest})
			if got, _ := m.Get(r.Key); string(got.Contents) != string(contentsOf(c.want)) {
				t.Errorf("over ballot %d: %s, want %d", c.ballot, got.Contents, c.want)
			}
		})
	}
}

// TestExpiryNeedsLeave: a gateway that may not write does not let a session expire: whoever has claimed it meanwhile goes
// on at the same node. What an agent deletes is deleted all the same, and so is what no node goes on with.
func TestExpiryNeedsLeave(t *testing.T) {
	quiet(t, func(ctx context.Context, w *world, id string) {
		m := w.gws["a"]
		stand := func(open bool) {
			w.mu.Lock()
			m.gate = open
			w.mu.Unlock()
		}
		stand(false)
		var own *mcp.Error
		if err := m.keeper.Drop(ctx, "s", id, session.Aside); !errors.As(err, &own) {
			t.Errorf("with the gate closed: %v", err)
		}
		record, _ := recordOf(w.key, id)
		if r, _ := m.Get(recordKey(record)); r.Deleted {
			t.Error("it is deleted")
		}
		if err := m.keeper.Drop(ctx, "s", id, session.Change); err != nil {
			t.Errorf("deleted by its agent: %v", err)
		}
		other := w.open(ctx, "a")
		stand(true)
		if err := m.keeper.Drop(ctx, "s", other, session.Aside); err != nil {
			t.Errorf("with the gate open: %v", err)
		}
	})
}

// TestForcedLog: claims of a log that was given up, when the group was forced, are known to copies and promises only. The
// session goes on under a new claim above them, with the newest contents, wherever they are.
func TestForcedLog(t *testing.T) {
	for _, at := range []string{"b", "c"} { // who has the copy under the lost claim; the agent comes to b
		quiet(t, func(ctx context.Context, w *world, id string) {
			record, _ := recordOf(w.key, id)
			sid, err := sessionid.Parse(w.key, id)
			if err != nil {
				t.Fatal(err)
			}
			w.mu.Lock()
			lost := uint64(len(w.log) + 20)
			w.gws[at].copies[recordKey(record)] = replica.Record{Key: recordKey(record), Service: "s", Owner: "c", Ballot: lost, Version: 2,
				Until: sid.Until().Unix(), Contents: contentsOf(5)}
			w.gws[at].vows[recordKey(record)] = lost
			w.mu.Unlock()
			w.end("a")
			<-time.After(time.Second)
			var found session.Found
			for range 12 { // as an agent does that is told to come again
				if found, err = w.gws["b"].keeper.Find(ctx, "s", id); err != nil || found.Where != session.Nowhere {
					break
				}
			}
			if err != nil || found.Where != session.Here || string(found.Contents) != string(contentsOf(5)) {
				t.Errorf("copy at %s: %+v, %v", at, found, err)
			}
		})
	}
}
