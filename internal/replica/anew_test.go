package replica

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// TestReadyAgain: a gateway is lost. The others say so until what it held has been copied elsewhere, whether its life has
// ended or it stays away, and are ready again without it. A gateway that reaches nobody has nothing to say of copies.
func TestReadyAgain(t *testing.T) {
	f := newFleet(t, "", quick(), "a1", "b1", "c1", "d1")
	f.ready()
	a, d := f.members["a1"], f.members["d1"]
	const n = 3000
	for i := range n {
		a.put(rec(session(i), 1, strings.Repeat("x", 100)), 0)
	}
	if err := a.store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.ready()
	f.leave(d, false)
	within(t, 3*time.Second, "a1 says that d1 is gone", func() bool {
		return slices.ContainsFunc(a.store.Ready(), func(s string) bool { return strings.HasPrefix(s, "d1 cannot be reached") })
	})
	if got := twice(f.all(), n); got == n {
		t.Error("every record still has two copies: the loss cost nothing, and this test shows nothing")
	}
	f.leave(d, true) // its life has ended
	began := time.Now()
	early := 0
	within(t, 20*time.Second, "a1 is ready again", func() bool {
		early = twice(f.all(), n) // before it is asked
		return len(a.store.Ready()) == 0
	})
	if got := twice(f.all(), n); got != n {
		t.Errorf("a1 is ready, and %d of %d records have their copies (a moment before: %d)", got, n, early)
	}
	t.Logf("%d records, ready again after %s", n, time.Since(began).Round(time.Millisecond))
	for _, name := range []string{"b1", "c1"} {
		f.leave(f.members[name], false)
	}
	within(t, 3*time.Second, "a1 reaches nobody", func() bool { return a.store.view.Load().others() == 0 })
	if why := a.store.Ready(); len(why) > 0 {
		t.Errorf("alone: %q", why)
	}
}

// twice counts the records that two others hold besides their owner.
func twice(all []*member, n int) (whole int) {
	for i := range n {
		held := 0
		for _, m := range all {
			if m.holds(session(i), 1) {
				held++
			}
		}
		if held >= 3 {
			whole++
		}
	}
	return whole
}
