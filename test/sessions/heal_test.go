package sessions_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/admin"
)

// converged bounds how long copies may differ after a partition has healed.
const converged = 10 * time.Second

// TestHeal changes sessions on both sides of a partition, where the cut off gateway goes on with what it owns. When it
// has healed, all copies are the same: what the other side claimed is as that side left it and what was dropped is
// reported; the rest is as its owner left it.
func TestHeal(t *testing.T) {
	networks(t)
	w := newWorld(t, setup{apart: true, seed: seed(t), minority: "standalone"})
	a, b := w.members[0], w.members[1]
	n, cut := number(t, "SESSIONS", 1000), time.Duration(number(t, "PARTITION", 10))*time.Second
	sessions := make([]*raw, n)
	w.all(n, "opened", func(i int) *answer {
		sessions[i] = w.rawFrom(a.url(), a.at, nil)
		if x := sessions[i].begin(); !x.good() {
			return x
		}
		return sessions[i].setLevel("info")
	})
	w.copied(w.members...)
	w.part(a, true, true)
	began := monotonic()
	w.await(healed, a.name+" is cut off", func() bool { return a.status("/writez") == 503 })
	w.all(n, "changed where it is cut off", func(i int) *answer { return sessions[i].setLevel("debug") })
	claimed := n / 2
	w.all(claimed, "changed on the other side", func(i int) *answer {
		r := sessions[i].at(b)
		defer r.close()
		return w.insist(func() *answer { return r.setLevel("error") })
	})
	if code, said := b.operator("verify"); code == 0 {
		t.Errorf("control: verify finds no difference while a gateway is cut off: %s", said)
	}
	if rest := cut - (monotonic() - began); rest > 0 {
		w.pass(rest)
	}
	w.unite(a)
	began = monotonic()
	said := w.converge(w.members...)
	judge(t, fmt.Sprintf("N=%d sessions, cut for %s: converged after", n, cut), monotonic()-began, converged)
	t.Logf("verify: %.600s", said)
	for name, x := range map[string]struct {
		from, to int
		level    string
	}{"claimed": {0, claimed, "error"}, "not claimed": {claimed, n, "debug"}} {
		w.all(x.to-x.from, name+", is as it should be", func(i int) *answer {
			r := sessions[x.from+i].at(b)
			defer r.close()
			got := w.insist(r.settings)
			if got.good() && !strings.HasPrefix(got.said, "level="+x.level+" ") {
				got.code, got.text = -1, got.said
			}
			return got
		})
	}
	w.dropped(a, claimed)
}

// converge waits until verify finds no difference at these members, and returns what it said.
func (w *world) converge(members ...*member) (said string) {
	w.t.Helper()
	for _, m := range members {
		w.await(healed, "copies are the same, says "+m.name, func() bool {
			code, out := m.operator("verify")
			said = out
			return code == 0 && m.status("/ready") == 200
		})
	}
	return said
}

// all does something with n sessions and fails the test when an answer is not good.
func (w *world) all(n int, what string, do func(i int) *answer) {
	w.t.Helper()
	var bad atomic.Int64
	errs := w.each(n, func(i int) error {
		if bad.Load() >= enough {
			return nil // more of the same takes long
		}
		if a := do(i); !a.good() {
			bad.Add(1)
			return fmt.Errorf("session %d: %s", i, a)
		}
		return nil
	})
	for _, err := range errs[:min(len(errs), 3)] {
		w.t.Error(err)
	}
	if len(errs) > 0 {
		w.t.Fatalf("%d of %d sessions not %s (no more are tried after %d)", len(errs), n, what, enough)
	}
}

// enough failures end what is done with many sessions.
const enough = 20

// insist asks again while asking again may help.
func (w *world) insist(ask func() *answer) *answer {
	for end := monotonic() + 15*time.Second; ; w.pass(50 * time.Millisecond) {
		if a := ask(); !a.later() || monotonic() > end {
			return a
		}
	}
}

// TestLagRefusesChanges puts the copies so far away that changes wait for them longer than the file allows: further ones are
// refused until those are there, and calls go on. With the default bound of 5 s none is refused.
func TestLagRefusesChanges(t *testing.T) {
	networks(t)
	for name, bound := range map[string]string{"100 ms": "replication: {max_lag: 100ms}\n", "control: default": ""} {
		t.Run(name, func(t *testing.T) {
			beside(t)
			w := newWorld(t, setup{apart: true, seed: seed(t), far: 80 * time.Millisecond, config: bound})
			r := w.raw(w.members[0].url()).open()
			w.copied(w.members[0])
			taken, refused := w.change(r, 60)
			t.Logf("N=%d changes, %d refused", taken+refused, refused)
			if (refused > 0) != (bound != "") || taken == 0 {
				t.Errorf("%d changes taken, %d refused", taken, refused)
			}
			w.copied(w.members[0])
			if x := r.subscribe(t.Context(), 1000); !x.good() {
				t.Errorf("a change once copies are complete: %s", x)
			}
		})
	}
}

// change changes a session again and again, and calls in between, which nothing refuses.
func (w *world) change(r *raw, n int) (taken, refused int) {
	w.t.Helper()
	for k := range n {
		x := r.subscribe(w.t.Context(), k)
		switch {
		case x.good():
			taken++
		case x.code == codeOverloaded && strings.Contains(x.text, "replication_lag"):
			refused++
		default:
			w.t.Fatalf("a change: %s", x)
		}
		if x := r.write(w.t.Context(), fmt.Sprintf("write-%d", k)); !x.good() {
			w.t.Fatalf("a write: %s", x)
		}
		w.pass(10 * time.Millisecond)
	}
	return taken, refused
}

// dropped checks that a gateway's report names every session whose changes were dropped, and no other.
func (w *world) dropped(m *member, n int) {
	w.t.Helper()
	code, said := m.operator("sessions", "--dropped")
	var list admin.DroppedList
	if err := m.read("/v1/sessions/dropped", &list); err != nil || code != 0 {
		w.t.Fatalf("exit code %d, %v: %.300s", code, err, said)
	}
	changes := 0
	for _, d := range list.Dropped {
		changes += int(d.Changes)
	}
	if len(list.Dropped) != n || list.More != 0 || changes != n {
		w.t.Errorf("the report names %d sessions with %d dropped changes, and %d more, want %d with one each", len(list.Dropped), changes, list.More, n)
	}
}
