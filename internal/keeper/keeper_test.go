package keeper

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/session"
	"github.com/quorate/quorate/internal/replica"
)

// fleet runs a test in a world of three gateways that follow the log, with a session of the first.
func fleet(t *testing.T, test func(t *testing.T, w *world, id string)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, "a", "b", "c")
		ctx, cancel := context.WithCancel(t.Context())
		defer func() {
			cancel()
			<-time.After(10 * time.Second) // what is on its way
		}()
		for _, m := range w.gws {
			go m.follow(ctx)
		}
		<-time.After(time.Second)
		id := w.open(ctx, "a")
		<-time.After(time.Second) // copies are everywhere
		test(t, w, id)
		for _, b := range w.bad {
			t.Error(b)
		}
	})
}

func (w *world) find(t *testing.T, at, id string) session.Found {
	t.Helper()
	f, err := w.gws[at].keeper.Find(t.Context(), "s", id)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFind(t *testing.T) {
	fleet(t, func(t *testing.T, w *world, id string) {
		if f := w.find(t, "a", id); f.Where != session.Here || string(f.Contents) != "0" || f.Life != w.gws["a"].keeper.Life() {
			t.Errorf("at its owner: %+v", f)
		}
		if f := w.find(t, "b", id); f.Where != session.There || f.Gateway != "a" {
			t.Errorf("elsewhere: %+v", f)
		}
		for name, other := range map[string]string{"forged": "q1" + id[3:] + "A", "of this process alone": own(), "empty": ""} {
			if f := w.find(t, "b", other); f.Where != session.Unknown {
				t.Errorf("%s: %+v", name, f)
			}
		}
		if f, _ := w.gws["b"].keeper.Find(t.Context(), "other", id); f.Where != session.Unknown {
			t.Errorf("of another service: %+v", f)
		}
		w.end("a")
		<-time.After(time.Second) // everybody has heard of it
		if f := w.find(t, "b", id); f.Where != session.Here || string(f.Contents) != "0" {
			t.Errorf("after its owner has ended: %+v", f)
		}
		if f := w.find(t, "c", id); f.Where != session.There || f.Gateway != "b" {
			t.Errorf("after it was claimed: %+v", f)
		}
		if err := w.gws["a"].keeper.Keep(t.Context(), "s", id, contentsOf(9), session.Change); !errors.Is(err, session.ErrTaken) {
			t.Errorf("its former owner keeps a change: %v", err)
		}
		if err := w.gws["b"].keeper.Drop(t.Context(), "s", id, session.Change); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Second)
		for _, at := range []string{"b", "c"} {
			if f := w.find(t, at, id); f.Where != session.Unknown {
				t.Errorf("deleted, at %s: %+v", at, f)
			}
		}
	})
}

func TestFindWithoutQuorum(t *testing.T) {
	fleet(t, func(t *testing.T, w *world, id string) {
		w.end("a")
		<-time.After(time.Second) // everybody has heard of it
		w.mu.Lock()
		w.gws["b"].gate = false
		w.mu.Unlock()
		began := time.Now()
		f := w.find(t, "b", id)
		if f.Where != session.Nowhere || f.Why.Code != mcp.CodeNoAuthority || f.Why.Reason != mcp.ReasonMinority {
			t.Errorf("%+v", f)
		}
		if took := time.Since(began); took > short+time.Second {
			t.Errorf("it took %s to say so", took)
		}
	})
}

// A silent owner that has not ended is waited for, never passed over; a third gateway may reach it.
func TestFindWithoutALink(t *testing.T) {
	fleet(t, func(t *testing.T, w *world, id string) {
		w.flip("a", "b")
		w.flip("a", "c")
		began := time.Now()
		if f := w.find(t, "b", id); f.Where != session.Nowhere || f.Why.Reason != mcp.ReasonOwner {
			t.Errorf("cut off: %+v", f)
		}
		if took := time.Since(began); took < patience-time.Second || took > patience+time.Second {
			t.Errorf("it took %s", took)
		}
		w.flip("a", "c")
		<-time.After(2 * aroundStands)
		if f := w.find(t, "b", id); f.Where != session.There || f.Gateway != "a" || w.gws["b"].keeper.Third("a") != "c" {
			t.Errorf("around: %+v by %q", f, w.gws["b"].keeper.Third("a"))
		}
	})
}

// A gateway that may hold newer contents and does not answer delays a claim by as long as promises last, no longer.
func TestSilentHolder(t *testing.T) {
	fleet(t, func(t *testing.T, w *world, id string) {
		w.flip("b", "c")
		w.end("a")
		<-time.After(time.Second) // everybody has heard of it
		began := time.Now()
		if f := w.find(t, "b", id); f.Where != session.Here {
			t.Errorf("%+v", f)
		}
		if took := time.Since(began); took < promised {
			t.Errorf("it was claimed after %s", took)
		}
		if n := w.gws["b"].keeper.Figures().Unheard; n != 1 {
			t.Errorf("%d sessions went on without everybody", n)
		}
	})
}

func TestNoCopy(t *testing.T) {
	fleet(t, func(t *testing.T, w *world, id string) {
		w.mu.Lock()
		for _, m := range w.gws {
			clear(m.copies)
		}
		w.mu.Unlock()
		w.end("a")
		<-time.After(time.Second) // everybody has heard of it
		if f := w.find(t, "b", id); f.Where != session.Unknown {
			t.Errorf("nobody has it: %+v", f)
		}
		w.flip("b", "c")
		if f := w.find(t, "b", id); f.Where != session.Nowhere || f.Why.Reason != mcp.ReasonCopies {
			t.Errorf("somebody may have it: %+v", f)
		}
	})
}

// A session follows an agent that stays, unless its owner is busy with it; then the agent has to stay longer.
func TestRelease(t *testing.T) {
	fleet(t, func(t *testing.T, w *world, id string) {
		moved := 0
		for n := 1; moved == 0 && n < 200; n++ {
			if w.find(t, "b", id).Where == session.Here {
				moved = n
			}
		}
		if moved <= relaysBefore || moved == 0 {
			t.Fatalf("it moved at request %d", moved)
		}
		if f := w.find(t, "a", id); f.Where != session.There || f.Gateway != "b" {
			t.Errorf("at its former owner: %+v", f)
		}
		if g := w.gws["a"].keeper.giveAway(t.Context(), "c", request{Service: "s", ID: id}); g.Released {
			t.Error("its former owner gives it away again")
		}
	})
}

// What was given away and nobody came for is taken back by a claim.
func TestTakeBack(t *testing.T) {
	fleet(t, func(t *testing.T, w *world, id string) {
		a := w.gws["a"].keeper
		var g gift
		for range 20 { // its memory may be busy
			if g = a.giveAway(t.Context(), "b", request{Service: "s", ID: id}); g.Released {
				break
			}
		}
		if !g.Released {
			t.Fatal("not given away")
		}
		if err := a.Keep(t.Context(), "s", id, contentsOf(3), session.Change); !errors.Is(err, session.ErrTaken) {
			t.Errorf("kept after it was given away: %v", err)
		}
		record, minter := recordOf(w.key, id)
		if f := w.find(t, "a", id); f.Where != session.Here || w.owner(record, minter).Ballot == 0 {
			t.Errorf("taken back: %+v under %+v", f, w.owner(record, minter))
		}
		if g := a.giveAway(t.Context(), "b", request{Service: "s", ID: id}); g.Released {
			t.Error("given away under the ballot before")
		}
	})
}

// What is not in memory is being looked for, or was never there: it is not given away.
func TestNotReleased(t *testing.T) {
	fleet(t, func(t *testing.T, w *world, id string) {
		w.gws["a"].forget(id)
		for range 20 {
			if g := w.gws["a"].keeper.giveAway(t.Context(), "b", request{Service: "s", ID: id}); g.Released {
				t.Fatal("given away")
			}
		}
	})
}

func TestRelays(t *testing.T) {
	var r relays
	count := func() (n int) {
		for ; !r.due("x"); n++ {
			r.another("x", "s", "a", time.Now())
		}
		return n
	}
	if n := count(); n != relaysBefore {
		t.Errorf("due after %d", n)
	}
	r.refused("x")
	if n := count(); n != relaysBefore {
		t.Errorf("due after %d, and a refusal", n)
	}
	r.moved("x")
	if n := count(); n != relaysBefore*relaysMore {
		t.Errorf("due after %d, and a move", n)
	}
	for i := range maxRelays * 2 {
		r.another(fmt.Sprint(i), "s", "a", time.Now())
	}
	if n := len(r.now) + len(r.old); n > maxRelays {
		t.Errorf("%d records are counted", n)
	}
}

func TestPending(t *testing.T) {
	p := pending{work: make(chan struct{}, 1)}
	at := func(ballot, version uint64) replica.Record {
		return replica.Record{Key: recordKey("x"), Ballot: ballot, Version: version, Contents: make([]byte, 10)}
	}
	for _, r := range []replica.Record{at(0, 1), at(0, 3), at(0, 2)} {
		if err := p.add(r); err != nil {
			t.Fatal(err)
		}
	}
	if r, _ := p.get(recordKey("x")); r.Version != 3 || p.bytes != 10 {
		t.Errorf("version %d, %d bytes", r.Version, p.bytes)
	}
	older, same := at(0, 2), at(0, 3)
	if p.agreed(&older); len(p.waiting()) != 1 {
		t.Error("an older state took the newer one along")
	}
	if p.agreed(&same); len(p.waiting()) != 0 || p.bytes != 0 {
		t.Errorf("%d wait, %d bytes", len(p.waiting()), p.bytes)
	}
	if err := p.add(replica.Record{Key: recordKey("y"), Contents: make([]byte, maxPendingBytes+1)}); !errors.Is(err, replica.ErrFull) {
		t.Errorf("beyond the bound: %v", err)
	}
}

func TestHandles(t *testing.T) {
	fleet(t, func(t *testing.T, w *world, _ string) {
		a, b := w.gws["a"].keeper, w.gws["b"].keeper
		go a.learn(t.Context())
		a.Learn("s", "task-1", "n1\neast")
		<-time.After(time.Second)
		for name, c := range map[string]struct {
			k                     *Keeper
			service, handle, want string
		}{
			"where it was learned": {a, "s", "task-1", "n1\neast"}, "elsewhere": {b, "s", "task-1", "n1\neast"},
			"of another service": {b, "r", "task-1", ""}, "never issued": {b, "s", "task-2", ""},
		} {
			if got, ok := c.k.Lookup(t.Context(), c.service, c.handle); got != c.want || ok != (c.want != "") {
				t.Errorf("%s: %q, %v", name, got, ok)
			}
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		for k := range w.gws["b"].copies {
			if k.Kind == replica.Handle && k.ID == "task-1" {
				t.Error("the record is named by the handle itself")
			}
		}
	})
}

// What a gateway changes while it may not write is its own until it hears who has claimed the session: then it is
// reported, once; what nobody has claimed it claims for its next life.
func TestTail(t *testing.T) {
	fleet(t, func(t *testing.T, w *world, taken string) {
		kept := w.open(t.Context(), "a")
		<-time.After(time.Second)
		a := w.gws["a"]
		go a.keeper.watch(t.Context())
		w.stand("a", true)
		w.flip("a", "b")
		w.flip("a", "c")
		w.mu.Lock()
		a.gate = false
		w.mu.Unlock()
		for n := uint64(1); n <= 3; n++ {
			for _, id := range []string{taken, kept} {
				if err := a.keeper.Keep(t.Context(), "s", id, contentsOf(n), session.Change); err != nil {
					t.Fatal(err)
				}
			}
		}
		w.end("a")
		<-time.After(time.Second) // everybody has heard of it
		if f := w.find(t, "b", taken); f.Where != session.Here || string(f.Contents) != "0" {
			t.Fatalf("claimed elsewhere: %+v", f)
		}
		w.flip("a", "b")
		w.flip("a", "c")
		w.join("a")
		w.stand("a", false)
		<-time.After(10 * time.Second)
		all, more := a.keeper.Dropped()
		if len(all) != 1 || more != 0 || all[0].Session != session.Hash(taken) || all[0].Changes != 3 || all[0].Owner != "b" {
			t.Errorf("dropped: %+v and %d more", all, more)
		}
		record, minter := recordOf(w.key, kept)
		if owner := w.owner(record, minter); owner.Owner != a.Life() {
			t.Errorf("what nobody had claimed is %s's, this life is %s", owner.Owner, a.Life())
		}
		if f := w.find(t, "a", kept); f.Where != session.Here || string(f.Contents) != "3" {
			t.Errorf("what nobody had claimed: %+v", f)
		}
	})
}

func TestMintWithoutALife(t *testing.T) {
	fleet(t, func(t *testing.T, w *world, _ string) {
		w.end("a")
		<-time.After(time.Second) // everybody has heard of it
		id, life := w.gws["a"].keeper.Mint()
		if life != 0 || len(id) != 2*ownBytes {
			t.Errorf("%q of life %d", id, life)
		}
		if err := w.gws["a"].keeper.Keep(t.Context(), "s", id, nil, session.Opening); err == nil {
			t.Error("it is kept")
		}
	})
}
