package control_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/control"
	"github.com/quorate/quorate/strategies"
)

// identify changes the identity of a gateway that does not run, as a crash would have left it.
func (f *fleet) identify(name string, change func(map[string]any)) {
	f.t.Helper()
	at := filepath.Join(f.store(name), "store", "identity.json")
	b, err := os.ReadFile(at)
	id := map[string]any{}
	if err == nil {
		err = json.Unmarshal(b, &id)
	}
	if err == nil {
		change(id)
		b, err = json.Marshal(id)
	}
	if err == nil {
		err = os.WriteFile(at, b, 0o600)
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

// A recovery that a crash interrupted, before it or after, is finished once, and never under the old generation.
func TestForceIsFinished(t *testing.T) {
	f := newFleet(t, "a", "b", "c")
	a, b, c := f.start("a", strategies.Voter), f.start("b", strategies.Voter), f.start("c", strategies.Voter)
	f.formed(a, b, c)
	a.add(t, 3)
	within(t, 5*time.Second, "c has it", func() bool { return c.log.value() == 3 })
	for _, m := range []*member{a, b, c} {
		m.vanish()
	}
	forcing := map[string]any{"by": "test", "at": "2026-01-01T00:00:00Z", "recovered": false}
	f.identify("c", func(id map[string]any) { id["generation"], id["forcing"] = 2, forcing })
	c = f.start("c", strategies.Voter)
	f.formed(c)
	if s := c.status(t); s.Generation != 2 || len(s.Forced) != 1 || s.Rule != "c" || len(s.Members) != 1 {
		t.Errorf("%+v", s)
	}
	if got := c.add(t, 1); got != 4 {
		t.Errorf("sum %d", got)
	}
	c.vanish()
	forcing["recovered"] = true
	f.identify("c", func(id map[string]any) { id["forcing"] = forcing })
	c = f.start("c", strategies.Voter)
	f.formed(c)
	if s := c.status(t); s.Generation != 2 || len(s.Forced) != 1 || c.log.value() != 4 {
		t.Errorf("%+v", s)
	}
}

// A voter can be forced when the master is destroyed, which no strategy can replace.
func TestForceWithoutMaster(t *testing.T) {
	f := newFleet(t, "a", "b", "c")
	f.master = "a"
	a, b, c := f.start("a", strategies.Voter), f.start("b", strategies.Voter), f.start("c", strategies.Voter)
	f.formed(a, b, c)
	a.vanish()
	b.vanish()
	within(t, 5*time.Second, "c sees no leader", func() bool { return c.node.Leader() == "" })
	if err := c.node.Force(t.Context(), "region-c", ""); !errors.Is(err, control.ErrRefused) {
		t.Errorf("forced by nobody: %v", err)
	}
	if err := c.node.Force(t.Context(), "region-c", "test"); err != nil {
		t.Fatal(err)
	}
	f.formed(c)
}

// An operator who gives up while the promises run out has changed nothing.
func TestForceGivenUp(t *testing.T) {
	f := newFleet(t, "a", "b", "c")
	a, b, c := f.start("a", strategies.Voter), f.start("b", strategies.Voter), f.start("c", strategies.Voter)
	f.formed(a, b, c)
	a.vanish()
	b.vanish()
	within(t, 5*time.Second, "c sees no leader", func() bool { return c.node.Leader() == "" })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := c.node.Force(ctx, "region-c", "test"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	b = f.start("b", strategies.Voter)
	f.formed(b, c)
	if s := c.status(t); s.Generation != 1 {
		t.Errorf("%+v", s)
	}
}

// TestForceRepeatsNoIndex: what a forced group hands out is above all that the group before it may have handed out, also
// where the voter that was forced has not heard of it. Lives, ballots and epochs are indexes.
func TestForceRepeatsNoIndex(t *testing.T) {
	f := newFleet(t, "a", "b", "c")
	a, b, c := f.start("a", strategies.Voter), f.start("b", strategies.Voter), f.start("c", strategies.Voter)
	f.formed(a, b, c)
	f.partition([]string{"a", "b"})
	within(t, 10*time.Second, "c sees no leader", func() bool { return c.node.Leader() == "" })
	for range 40 { // the first of them wait for a leader
		within(t, 20*time.Second, "a writes", func() bool {
			_, _, err := a.node.Propose(t.Context(), "counter", binary.BigEndian.AppendUint64(nil, 1))
			return err == nil
		})
	}
	before := b.life(t)
	b.vanish()
	b = f.start("b", strategies.Voter)
	f.formed(a, b)
	if b.life(t) <= before {
		t.Fatalf("b goes on as %d", before)
	}
	last, epoch := a.status(t).Commit, max(a.node.Fence(), b.node.Fence())
	a.vanish()
	b.vanish()
	f.partition()
	if known := c.status(t).Commit; known >= last-40 {
		t.Fatalf("c has heard of %d, of %d", known, last)
	}
	if err := c.node.Force(t.Context(), "region-c", "test"); err != nil {
		t.Fatal(err)
	}
	f.formed(c)
	f.wipe("b")
	b = f.start("b", strategies.Voter)
	f.formed(b)
	for _, m := range []*member{b, c} {
		if life := m.life(t); life <= last {
			t.Errorf("%s has the incarnation %d, and the group before may have handed out any up to %d", m.name, life, last)
		}
	}
	if now := c.node.Fence(); now <= epoch {
		t.Errorf("writes name the epoch %d, and nodes have seen %d", now, epoch)
	}
	t.Logf("the group before ended at %d, with epoch %d; then b has the incarnation %d", last, epoch, b.life(t))
}
