package replica

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// TestRefusedByAll: a record that no place takes fails by itself. It does not count in the lag of all, and changes of others
// are taken; its own are refused past the lag that is allowed, until it is small enough.
func TestRefusedByAll(t *testing.T) {
	plan := quick()
	plan.MaxLag = 300 * time.Millisecond
	f := newFleet(t, "", plan, "a1")
	a := f.members["a1"]
	small := func(c *Config) { c.MaxRecord = 100 }
	f.start("b1", small)
	f.start("c1", small)
	f.ready()
	large := rec(session(0), 1, strings.Repeat("x", 500))
	a.put(large, 0)
	within(t, 5*time.Second, "it fails, and does not count", func() bool {
		st, _ := a.store.Status(large.Key)
		return st.State == Failed && a.store.Lag() == 0
	})
	<-time.After(2 * plan.MaxLag)
	for i := 1; i < 20; i++ {
		if err := a.store.Put(t.Context(), rec(session(i), 1, "small"), 2); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.store.Lagging("files"); err != nil {
		t.Error(err)
	}
	if c := a.store.Counts(); c[Failed] != 1 || c[Synced] != 19 {
		t.Errorf("states %v", c)
	}
	if st, _ := a.store.Status(large.Key); st.Lag < 2*plan.MaxLag {
		t.Errorf("its own lag is %s", st.Lag)
	}
	if why := a.store.Ready(); len(why) != 2 || !strings.Contains(strings.Join(why, "; "), "b1 does not take 1 records") {
		t.Errorf("ready: %q", why)
	}
	large.Version = 2
	if err := a.store.Put(t.Context(), large, 0); !errors.Is(err, ErrTooLarge) {
		t.Errorf("changed, and as large as before: %v", err)
	}
	large.Version, large.Contents = 3, []byte("not any more")
	a.put(large, 2)
	within(t, 5*time.Second, "all is well", func() bool { return a.store.Counts()[Synced] == 20 && len(a.store.Ready()) == 0 })
	if n := a.store.lagged.open.Load() + a.store.lagged.apart.Load(); n != 0 {
		t.Errorf("%d count as open or apart", n)
	}
}

// TestNoRoomAnywhere: some that find no room stand apart; when places have none left at all, changes are refused as before.
func TestNoRoomAnywhere(t *testing.T) {
	plan := quick()
	plan.MaxLag = 300 * time.Millisecond
	f := newFleet(t, "", plan, "a1")
	a := f.members["a1"]
	b := f.start("b1", func(c *Config) { c.MaxRecords = 4 })
	f.ready()
	next := 0
	more := func(n int) (err error) {
		for ; n > 0 && err == nil; n-- {
			if err = a.store.Put(t.Context(), rec(session(next), 1, "x"), 0); err == nil {
				next++
			}
		}
		return err
	}
	if err := more(4 + maxApart); err != nil {
		t.Fatal(err)
	}
	within(t, 5*time.Second, "some stand apart", func() bool { return a.store.Counts()[Failed] == maxApart && a.store.Lag() == 0 })
	<-time.After(2 * plan.MaxLag)
	if err := a.store.Lagging("files"); err != nil {
		t.Error(err)
	}
	waits := 0
	for b.holds(session(waits), 1) {
		waits++
	}
	if err := a.store.Put(t.Context(), rec(session(waits), 2, "y"), 0); !errors.Is(err, ErrLag) {
		t.Errorf("a change of one that stands apart: %v", err)
	}
	if err := more(1); err != nil {
		t.Fatal(err)
	}
	within(t, 5*time.Second, "changes are refused", func() bool { return errors.Is(more(1), ErrLag) })
	b.stop()
	f.start("b1", nil)
	within(t, 20*time.Second, "all are copied", func() bool {
		return a.store.Lag() == 0 && a.store.Counts()[Synced] == next && a.store.lagged.apart.Load() == 0
	})
}
