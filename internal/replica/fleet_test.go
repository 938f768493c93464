package replica

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestJoin: a gateway that comes gets what it should hold, and says so when it has it. Those that need not hold their
// copies any more let them go.
func TestJoin(t *testing.T) {
	f := newFleet(t, t.TempDir(), quick(), "a1", "b1", "b2")
	f.ready()
	a := f.members["a1"]
	for i := range 2000 {
		a.put(rec(session(i), 1, "x"), 0)
	}
	if err := a.store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := f.start("c1", nil)
	f.ready()
	f.settle(10 * time.Second)
	within(t, 10*time.Second, "three places hold each record", func() bool {
		n := 0
		for _, m := range f.all() {
			n += m.store.Usage().Records
		}
		return n == 3*2000
	})
	if got := c.store.Usage().Records; got != 2000 || !c.events.has(EventCaughtUp) { // the only one in its region
		t.Errorf("the one that came has %d, %q", got, c.events.lines)
	}
	within(t, 5*time.Second, "the owner knows", func() bool { return a.store.Counts()[Synced] == 2000 })
}

// TestLeave: when a place leaves for good, the next in rank gets its records, and whoever waits for it does not.
func TestLeave(t *testing.T) {
	f := newFleet(t, "", quick(), "a1", "b1", "c1", "d1")
	f.ready()
	a := f.members["a1"]
	for i := range 500 {
		a.put(rec(session(i), 1, "x"), 2)
	}
	f.leave(f.members["d1"], true)
	began := time.Now()
	for i := range 500 {
		a.put(rec(session(i), 2, "y"), 2)
	}
	t.Logf("500 changes took %s", time.Since(began))
	f.settle(10 * time.Second)
	for i := range 500 {
		if !f.members["b1"].holds(session(i), 2) || !f.members["c1"].holds(session(i), 2) {
			t.Fatalf("%d is not at both places", i)
		}
	}
	// The owner leaves too: the two that are left keep up its records between them.
	f.leave(a, true)
	f.members["c1"].lose(session(7))
	f.settle(10 * time.Second)
	within(t, 5*time.Second, "the copy is there again", func() bool { return f.members["c1"].holds(session(7), 2) })
}

// TestCutOff: with nobody up a change is kept and pending, at once; when somebody is up again it is copied.
func TestCutOff(t *testing.T) {
	f := newFleet(t, "", quick(), "a1", "b1", "c1")
	f.ready()
	a := f.members["a1"]
	f.cut("a1", "b1", true)
	f.cut("a1", "c1", true)
	within(t, 3*time.Second, "nobody is up", func() bool { return a.store.view.Load().others() == 0 })
	a.put(rec(session(1), 1, "x"), 2)
	st, _ := a.store.Status(session(1))
	if st.State != Pending || st.Lag == 0 || a.store.Lag() == 0 {
		t.Errorf("%+v", st)
	}
	got, err := a.store.Fetch(t.Context(), session(9), 0, "")
	if err != nil || got.Found || !slices.Equal(got.Silent, []string{"b1", "c1"}) {
		t.Errorf("%+v, %v", got, err)
	}
	report, err := a.store.Verify(t.Context())
	if err != nil || report.Same() || len(report.Silent) != 2 {
		t.Errorf("%+v, %v", report, err)
	}
	f.cut("a1", "b1", false)
	f.cut("a1", "c1", false)
	within(t, 5*time.Second, "it is copied", func() bool { return a.store.Counts()[Synced] == 1 && a.store.Lag() == 0 })
}

// TestWaitEnds: whoever waits for a gateway that hangs hears so when the context ends, and need not wait for one that
// goes away.
func TestWaitEnds(t *testing.T) {
	f := newFleet(t, "", Plan{Copies: 1, Timeout: 5 * time.Second, MaxLag: time.Hour}, "a1", "b1")
	f.ready()
	a := f.members["a1"]
	f.hang("b1")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := a.store.Put(ctx, rec(session(1), 1, "x"), 1); !errors.Is(err, ErrUnconfirmed) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	done := make(chan error, 1)
	long, stop := context.WithTimeout(t.Context(), 4*time.Second) // shorter than the batch that hangs
	defer stop()
	go func() { done <- a.store.Put(long, rec(session(1), 2, "x"), 1) }()
	within(t, 3*time.Second, "it waits", func() bool { return waits(a.store) == 1 })
	f.cut("a1", "b1", true) // what is under way goes on hanging
	if err := <-done; err != nil || waits(a.store) != 0 {
		t.Errorf("%v", err)
	}
	f.wake("b1")
}

func waits(s *Store) (n int) {
	for i := range s.slots {
		s.slots[i].mu.Lock()
		n += len(s.slots[i].waits)
		s.slots[i].mu.Unlock()
	}
	return n
}

// TestSuperseded: an owner hears that it was outranked, by whatever way it meets the others again.
func TestSuperseded(t *testing.T) {
	var told, alone atomic.Uint64
	f := newFleet(t, "", quick(), "b1", "c1")
	a := f.start("a1", func(c *Config) {
		c.Superseded = func(old Outranked, ballot uint64, by string) {
			if old.Key == session(1) && by == "b1" && old.Contents == nil {
				alone.Store(old.Alone)
				told.Store(ballot)
			}
		}
	})
	f.ready()
	a.put(rec(session(1), 1, "old"), 2)
	f.cut("a1", "b1", true)
	f.cut("a1", "c1", true)
	b := f.members["b1"]
	within(t, 3*time.Second, "it is cut off", func() bool { return !b.store.view.Load().isUp("a1") && a.store.view.Load().others() == 0 })
	got, err := b.store.Fetch(t.Context(), session(1), 5, "a1")
	if err != nil || string(got.Contents) != "old" {
		t.Fatalf("%+v, %v", got, err)
	}
	a.put(rec(session(1), 2, "its own"), 1) // nobody else has it
	fresh := rec(session(1), 1, "new")
	fresh.Ballot = 5
	b.put(fresh, 1)
	f.cut("a1", "b1", false)
	f.cut("a1", "c1", false)
	within(t, 5*time.Second, "it hears", func() bool { return told.Load() == 5 })
	if n := alone.Load(); n != 1 {
		t.Errorf("it hears of %d changes that are lost", n)
	}
	f.settle(5 * time.Second)
	if err := a.store.Put(t.Context(), rec(session(1), 3, "late"), 0); !errors.Is(err, ErrStale) {
		t.Errorf("%v", err)
	}
	within(t, 5*time.Second, "nobody has the old state", func() bool {
		for _, m := range f.all() {
			if r, ok := m.store.Get(session(1)); ok && r.Ballot != 5 {
				return false
			}
		}
		return a.store.Lag() == 0
	})
}

// TestExpiryDoesNotEndASuccessor: an owner that is cut off lets a session expire which another carries on.
func TestExpiryDoesNotEndASuccessor(t *testing.T) {
	f := newFleet(t, "", quick(), "a1", "b1", "c1")
	f.ready()
	a, b := f.members["a1"], f.members["b1"]
	a.put(rec(session(1), 1, "old"), 2)
	f.cut("a1", "b1", true)
	f.cut("a1", "c1", true)
	within(t, 3*time.Second, "it is cut off", func() bool { return a.store.view.Load().others() == 0 })
	if _, err := b.store.Fetch(t.Context(), session(1), 5, "a1"); err != nil {
		t.Fatal(err)
	}
	fresh := rec(session(1), 1, "new")
	fresh.Ballot = 5
	b.put(fresh, 1)
	a.put(Record{Key: session(1), Service: "files", Version: 9, Deleted: true, Until: later()}, 0)
	f.cut("a1", "b1", false)
	f.cut("a1", "c1", false)
	f.settle(5 * time.Second)
	for _, m := range f.all() {
		within(t, 5*time.Second, m.name+" has no deletion", func() bool {
			r, ok := m.store.Get(session(1))
			return !ok || !r.Deleted
		})
	}
	if r, _ := b.store.Get(session(1)); string(r.Contents) != "new" {
		t.Errorf("%+v", r)
	}
}

// TestAmnesia: a store that has lost its file does not say "no copy" before it has asked the others. One that has its
// file may.
func TestAmnesia(t *testing.T) {
	for _, lost := range []bool{true, false} {
		f := newFleet(t, t.TempDir(), quick(), "a1", "b1", "c1")
		f.ready()
		f.members["a1"].put(rec(session(1), 1, "x"), 2)
		b := f.members["b1"]
		if err := b.store.FlushLocal(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.stop()
		path := filepath.Join(f.dir, "b1", "replica.db")
		if lost {
			if err := os.WriteFile(path, []byte(strings.Repeat("garbage ", 4000)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		f.hang("a1") // so that it cannot catch up
		b = f.start("b1", nil)
		got, err := f.members["c1"].store.Fetch(t.Context(), session(7), 0, "a1")
		within(t, 3*time.Second, "the link is back", func() bool {
			got, err = f.members["c1"].store.Fetch(t.Context(), session(7), 0, "a1")
			return f.members["c1"].store.view.Load().isUp("b1")
		})
		got, err = f.members["c1"].store.Fetch(t.Context(), session(7), 0, "a1")
		if err != nil || slices.Contains(got.Silent, "b1") != lost || b.events.has(EventQuarantined) != lost {
			t.Errorf("lost %v: %+v, %v, %q", lost, got, err, b.events.lines)
		}
		f.wake("a1")
		f.ready()
		got, err = f.members["c1"].store.Fetch(t.Context(), session(7), 0, "")
		if err != nil || len(got.Silent) > 0 || got.Found || !b.holds(session(1), 1) {
			t.Errorf("afterwards: %+v, %v", got, err)
		}
	}
}

// TestComesBackUnseen: a gateway that is there again is asked before anybody has looked at the places. It may hold the
// only copy, and "no copy" ends a session for good.
func TestComesBackUnseen(t *testing.T) {
	f := newFleet(t, "", quick(), "b1", "c1")
	f.ready()
	b, c := f.members["b1"], f.members["c1"]
	f.mu.Lock()
	f.gone["b1"], f.gone["c1"] = true, true
	f.mu.Unlock()
	within(t, 3*time.Second, "they are alone", func() bool {
		f.changed()
		return b.store.view.Load().others()+c.store.view.Load().others() == 0
	})
	b.put(rec(session(1), 1, "x"), 0)
	got, err := c.store.Fetch(t.Context(), session(1), 0, "")
	if err != nil || got.Found || slices.Contains(got.Heard, "b1") {
		t.Fatalf("while it is gone: %+v, %v", got, err)
	}
	f.mu.Lock()
	f.gone["b1"] = false // and nobody is told
	f.mu.Unlock()
	got, err = c.store.Fetch(t.Context(), session(1), 0, "")
	if err != nil || !got.Found || !slices.Contains(got.Heard, "b1") {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestReconcile: a copy that was lost behind everybody's back is found by Verify, which changes nothing, and repaired by
// Reconcile.
func TestReconcile(t *testing.T) {
	f := newFleet(t, "", quick(), "b1")
	idle := func(c *Config) { c.Every = time.Hour }
	a, c := f.start("a1", idle), f.start("c1", idle)
	f.leave(f.members["b1"], true)
	within(t, 5*time.Second, "they know each other", func() bool {
		return a.store.view.Load().others() == 1 && c.store.view.Load().others() == 1 && len(a.store.Ready())+len(c.store.Ready()) == 0
	})
	for i := range 100 {
		a.put(rec(session(i), 1, "x"), 1)
		c.put(rec(session(1000+i), 1, "x"), 1)
	}
	a.lose(session(1001))
	c.lose(session(1))
	c.lose(session(2))
	for range 2 {
		report, err := a.store.Verify(t.Context())
		if d := report.Differences; err != nil || report.Same() || len(d) != 1 || d[0].Here != 1 || d[0].There != 2 {
			t.Fatalf("%+v, %v", report, err)
		}
	}
	report, err := a.store.Reconcile(t.Context())
	if err != nil || report.Differences[0].Here != 1 {
		t.Fatalf("%+v, %v", report, err)
	}
	if report, err = a.store.Verify(t.Context()); err != nil || !report.Same() || !a.holds(session(1001), 1) || !c.holds(session(2), 1) {
		t.Errorf("%+v, %v", report, err)
	}
}

func TestStrangers(t *testing.T) {
	f := newFleet(t, "", quick(), "a1")
	s := f.members["a1"].store
	serve := func(change func(*http.Request), body string) int {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, Path+"push", strings.NewReader(body))
		change(r)
		w := httptest.NewRecorder()
		s.serveFrom("b1", w, r)
		return w.Code
	}
	same := func(*http.Request) {}
	good := rec(session(1), 1, "x")
	good.Owner = "b1"
	batch := string(appendText(nil, appendRecord(nil, &good)))
	for _, c := range []struct {
		name   string
		change func(*http.Request)
		body   string
		want   int
	}{
		{"a batch", same, batch, http.StatusOK},
		{"of another cluster", func(r *http.Request) { r.Header.Set(labelHeader, "other") }, batch, http.StatusForbidden},
		{"a GET", func(r *http.Request) { r.Method = http.MethodGet }, batch, http.StatusForbidden},
		{"another path", func(r *http.Request) { r.URL.Path = Path + "nothing" }, batch, http.StatusBadRequest},
		{"half a batch", same, batch[:len(batch)/2], http.StatusBadRequest},
		{"garbage", same, "\xff\xff\xff\xff\xff\xff", http.StatusBadRequest},
		{"too much", same, strings.Repeat("x", DefaultMaxRecord+5<<20), http.StatusRequestEntityTooLarge},
	} {
		if got := serve(c.change, c.body); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, Path+"push", strings.NewReader(batch)))
	if w.Code != http.StatusForbidden {
		t.Errorf("somebody without a certificate: %d", w.Code)
	}
	for _, what := range []string{"digest", "list", "pull", "have", "fetch"} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, Path+what, strings.NewReader("\xff\xff\xff"))
		w := httptest.NewRecorder()
		s.serveFrom("b1", w, r)
		if w.Code != http.StatusBadRequest {
			t.Errorf("garbage for %s: %d", what, w.Code)
		}
	}
}

// TestFullThere: a gateway that has no room refuses copies, the owner sees it, and they go there when there is room.
func TestFullThere(t *testing.T) {
	f := newFleet(t, "", Plan{Copies: 1, Timeout: time.Second, MaxLag: time.Hour}, "a1")
	b := f.start("b1", func(c *Config) { c.MaxRecords = 2 })
	f.ready()
	a := f.members["a1"]
	for i := range 3 {
		a.put(rec(session(i), 1, "x"), 0)
	}
	within(t, 5*time.Second, "one of three fails", func() bool {
		c := a.store.Counts()
		return c[Failed] == 1 && c[Synced] == 2
	})
	for i := range 3 {
		if b.holds(session(i), 1) {
			b.lose(session(i))
			break
		}
	}
	within(t, 10*time.Second, "it is taken", func() bool { return a.store.Usage().Records == 3 && a.store.Counts()[Failed] == 0 })
}

// TestLargeRecords: a record larger than a batch goes alone, and through every way of copying.
func TestLargeRecords(t *testing.T) {
	f := newFleet(t, t.TempDir(), quick(), "a1", "b1")
	f.ready()
	large := strings.Repeat("x", DefaultMaxRecord)
	for i := range 6 {
		f.members["a1"].put(rec(session(i), 1, large), 1)
		f.members["a1"].put(rec(session(100+i), 1, fmt.Sprint(i)), 1)
	}
	f.start("c1", nil)
	f.ready()
	f.settle(10 * time.Second)
	if got := f.members["c1"].store.Usage(); got.Records != 12 || got.Bytes < 6<<20 {
		t.Errorf("%+v", got)
	}
	got, err := f.members["c1"].store.Fetch(t.Context(), session(5), 3, "")
	if err != nil || len(got.Contents) != len(large) {
		t.Errorf("%d bytes, %v", len(got.Contents), err)
	}
}

// TestForgetful: a gateway that keeps nothing on disk comes back so soon that nobody sees it go. Its confirmations count
// no more, and it gets its copies again.
func TestForgetful(t *testing.T) {
	f := newFleet(t, "", quick(), "a1", "b1")
	f.ready()
	a, b := f.members["a1"], f.members["b1"]
	for i := range 50 {
		a.put(rec(session(i), 1, "x"), 1)
	}
	for i := range 50 {
		b.lose(session(i))
	}
	within(t, 5*time.Second, "it has its copies again", func() bool { return b.store.Usage().Records == 50 && a.store.Counts()[Synced] == 50 })
	a.store.unconfirm("b1", []Key{session(1)})
	if st, _ := a.store.Status(session(1)); st.State != Pending {
		t.Errorf("what is not confirmed is %s", st.State)
	}
}

// TestNotCounted: what a gateway has lost and cannot take again is not counted as a copy.
func TestNotCounted(t *testing.T) {
	f := newFleet(t, "", quick(), "a1")
	b := f.start("b1", func(c *Config) { c.MaxRecords = 50 })
	f.ready()
	a := f.members["a1"]
	for i := range 50 {
		a.put(rec(session(i), 1, "x"), 1)
	}
	within(t, 5*time.Second, "all are copied", func() bool { return a.store.Counts()[Synced] == 50 })
	b.lose(session(7))
	other := rec(session(5000), 1, "takes the room")
	other.Owner, other.Region = "z1", "region-z"
	if f := b.store.receive(other, true); f != nil {
		t.Fatal(f.Why)
	}
	within(t, 5*time.Second, "one is not counted", func() bool { return a.store.Counts()[Synced] == 49 })
}

// TestLastCopy: a holder that should not hold a record any more keeps it until those who should have it do.
func TestLastCopy(t *testing.T) {
	f := newFleet(t, "", quick(), "a1", "b1", "c1", "d1")
	f.ready()
	for i := range 200 { // of an owner that is gone, each at one gateway only
		r := rec(session(i), 1, "x")
		r.Owner, r.Region = "z1", "region-z"
		if f := f.members[[]string{"a1", "b1", "c1", "d1"}[i%4]].store.receive(r, true); f != nil {
			t.Fatal(f.Why)
		}
	}
	holders := func(id int) (n int) {
		for _, m := range f.all() {
			if m.holds(session(id), 1) {
				n++
			}
		}
		return n
	}
	within(t, 10*time.Second, "two places hold each", func() bool {
		for i := range 200 {
			if holders(i) != 2 {
				return false
			}
		}
		return true
	})
	f.settle(5 * time.Second)
	for i := range 200 {
		if n := holders(i); n != 2 {
			t.Errorf("%d is at %d", i, n)
		}
	}
}

// TestDeletionIsOnDisk: whoever waits for a deletion need not fear a power loss. Whoever does not wait may.
func TestDeletionIsOnDisk(t *testing.T) {
	f := newFleet(t, t.TempDir(), quick(), "a1", "b1")
	f.ready()
	a := f.members["a1"]
	a.put(rec(session(1), 1, "x"), 1)
	a.put(Record{Key: session(1), Service: "files", Version: 2, Deleted: true, Until: later()}, 1)
	a.store.disk.mu.Lock()
	_, dirty := a.store.disk.dirty[session(1)]
	written := a.store.disk.done
	a.store.disk.mu.Unlock()
	if dirty || written == 0 {
		t.Error("it is not on the disk")
	}
}

// TestFetchMany: many claims in one question each, with records that do not fit into one answer.
func TestFetchMany(t *testing.T) {
	f := newFleet(t, t.TempDir(), quick(), "a1", "b1", "c1")
	f.ready()
	a, b := f.members["a1"], f.members["b1"]
	var keys []Key
	for i := range 300 {
		keys = append(keys, session(i))
		if i%3 > 0 { // the others are nowhere
			a.put(rec(session(i), 1, strings.Repeat(fmt.Sprint(i%10), 20<<10)), 0)
		}
	}
	if err := a.store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := f.members["c1"].store.Fetch(t.Context(), session(4), 9, ""); err != nil {
		t.Fatal(err)
	}
	all, err := b.store.FetchAll(t.Context(), keys, 7, "a1")
	if err != nil || len(all) != 300 {
		t.Fatal(err)
	}
	for i, got := range all {
		switch {
		case i == 4:
			if len(got.Stale) == 0 {
				t.Errorf("a higher ballot is promised: %+v", got)
			}
		case len(got.Silent)+len(got.Stale) > 0 || got.Found != (i%3 > 0) || got.Found && (got.ID != keys[i].ID || got.Contents[0] != byte('0'+i%10)):
			t.Fatalf("%d: found %v, silent %q, stale %q", i, got.Found, got.Silent, got.Stale)
		}
	}
	if err := a.store.Put(t.Context(), rec(session(8), 2, "late"), 2); !errors.Is(err, ErrStale) {
		t.Errorf("a late change: %v", err)
	}
	for _, n := range []int{0, MaxFetch + 1} {
		if _, err := b.store.FetchAll(t.Context(), make([]Key, n), 7, ""); err == nil {
			t.Errorf("%d are too few or too many", n)
		}
	}
}
