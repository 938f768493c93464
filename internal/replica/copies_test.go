package replica

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func quick() Plan {
	return Plan{Copies: 2, Timeout: 300 * time.Millisecond, Retries: 1, MaxLag: time.Hour}
}

func TestPutReachesItsPlaces(t *testing.T) {
	f := newFleet(t, "", quick(), "a1", "b1", "c1")
	a := f.members["a1"]
	f.ready()
	a.put(rec(session(1), 1, "hello"), 2)
	for _, name := range []string{"a1", "b1", "c1"} {
		if !f.members[name].holds(session(1), 1) {
			t.Errorf("%s has no copy", name)
		}
	}
	st, _ := a.store.Status(session(1))
	if st.State != Synced || a.store.Lag() != 0 || len(st.Places) != 2 {
		t.Errorf("status %+v, lag %s", st, a.store.Lag())
	}
	a.put(Record{Key: session(1), Service: "files", Version: 2, Deleted: true, Until: later()}, 2)
	if r, ok := f.members["c1"].store.Get(session(1)); !ok || !r.Deleted || len(r.Contents) > 0 {
		t.Errorf("%+v: the deletion is not remembered", r)
	}
	if err := a.store.Put(t.Context(), rec(session(1), 3, "again"), 0); !errors.Is(err, ErrStale) {
		t.Errorf("a deleted record came back: %v", err)
	}
}

// TestPromise: a claimant that has asked sees all that was confirmed; the old owner's late change is refused. Without
// the ballot the same change is taken.
func TestPromise(t *testing.T) {
	for _, ballot := range []uint64{0, 7} {
		f := newFleet(t, "", quick(), "a1", "b1", "c1")
		a, b := f.members["a1"], f.members["b1"]
		f.ready()
		a.put(rec(session(1), 1, "old"), 2)
		got, err := b.store.Fetch(t.Context(), session(1), ballot, "a1")
		if err != nil || !got.Found || string(got.Contents) != "old" || len(got.Silent) > 0 {
			t.Fatalf("%+v, %v", got, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		err = a.store.Put(ctx, rec(session(1), 2, "late"), 1)
		cancel()
		if (ballot > 0) != errors.Is(err, ErrStale) || (ballot == 0) != (err == nil) {
			t.Errorf("ballot %d: the late change: %v", ballot, err)
		}
		if ballot == 0 {
			continue
		}
		fresh := rec(session(1), 1, "new")
		fresh.Ballot = ballot
		b.put(fresh, 2)
		f.settle(5 * time.Second)
		for _, m := range f.all() {
			if r, _ := m.store.Get(session(1)); string(r.Contents) != "new" {
				t.Errorf("%s has %q", m.name, r.Contents)
			}
		}
		if _, err := f.members["c1"].store.Fetch(t.Context(), session(1), ballot-1, ""); !errors.Is(err, ErrStale) {
			t.Errorf("a lower ballot is promised: %v", err)
		}
	}
}

func TestLag(t *testing.T) {
	plan := quick()
	plan.MaxLag = 700 * time.Millisecond
	f := newFleet(t, "", plan, "a1", "b1", "c1")
	a := f.members["a1"]
	f.ready()
	f.hang("b1")
	a.put(rec(session(1), 1, "one"), 1)
	within(t, 3*time.Second, "one of two is enough for the lag", func() bool { return a.store.Lag() == 0 })
	within(t, 3*time.Second, "the one that hangs counts as failed", func() bool {
		st, _ := a.store.Status(session(1))
		return st.State == Failed
	})
	f.hang("c1")
	a.put(rec(session(1), 2, "two"), 0)
	within(t, 3*time.Second, "changes are refused", func() bool { return errors.Is(a.store.Lagging("files"), ErrLag) })
	if err := a.store.Put(t.Context(), rec(session(2), 1, "new"), 0); !errors.Is(err, ErrLag) {
		t.Errorf("past the lag: %v", err)
	}
	if err := a.store.Put(t.Context(), Record{Key: session(3), Service: "files", Deleted: true, Until: later()}, 0); err != nil {
		t.Errorf("a deletion past the lag: %v", err)
	}
	f.wake("b1")
	f.wake("c1")
	within(t, 10*time.Second, "the lag is over", func() bool { return a.store.Lag() == 0 && a.store.Lagging("files") == nil })
	within(t, 5*time.Second, "all is well", func() bool { return a.store.Counts()[Synced] == 2 && len(a.store.Ready()) == 0 })
	if !a.events.has(EventCopyFailed) || !a.events.has(EventCopyBack) {
		t.Errorf("events %q", a.events.lines)
	}
}

// TestRefusedAlone: a record that a gateway does not take does not hold up those that it takes.
func TestRefusedAlone(t *testing.T) {
	f := newFleet(t, "", quick(), "a1")
	a := f.members["a1"]
	f.start("b1", func(c *Config) { c.MaxRecord = 100 })
	f.ready()
	large := rec(session(0), 1, strings.Repeat("x", 500))
	a.put(large, 0)
	within(t, 10*time.Second, "it is refused again and again", func() bool { return a.events.has(EventCopyFailed) })
	for i := 1; i < 20; i++ {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		began := time.Now()
		if err := a.store.Put(ctx, rec(session(i), 1, "small"), 1); err != nil {
			t.Fatalf("after %v: %v", time.Since(began), err)
		}
		cancel()
	}
	if st, _ := a.store.Status(large.Key); st.State != Failed {
		t.Errorf("the large one is %s", st.State)
	}
	if st, _ := a.store.Status(session(5)); st.State != Synced {
		t.Errorf("a small one is %s", st.State)
	}
	large.Version, large.Contents = 2, []byte("not any more")
	a.put(large, 1)
	within(t, 5*time.Second, "all is well", func() bool { return a.events.has(EventCopyBack) && len(a.store.Ready()) == 0 })
}
