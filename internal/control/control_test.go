package control_test

import (
	"errors"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/control"
	"github.com/quorate/quorate/strategies"
)

// Three form a fleet, write, lose one, go on; the lone one may not write; it returns as another life.
func TestThree(t *testing.T) {
	f := newFleet(t, "a", "b", "c")
	a, b, c := f.start("a", strategies.Voter), f.start("b", strategies.Voter), f.start("c", strategies.Voter)
	f.formed(a, b, c)
	if got := a.add(t, 5); got != 5 {
		t.Errorf("sum %d", got)
	}
	if got := c.add(t, 2); got != 7 || c.log.value() != 7 {
		t.Errorf("sum %d, here %d", got, c.log.value())
	}
	_, agreed, err := b.node.Verify(t.Context())
	if err != nil || len(agreed) != 3 {
		t.Fatalf("%v, %v", agreed, err)
	}
	for _, g := range agreed {
		if g.Problem != "" || g.Digest != agreed[0].Digest {
			t.Errorf("%+v", g)
		}
	}
	before := c.life(t)
	c.vanish()
	t.Logf("fenced after %s", within(t, 10*time.Second, "c is fenced", func() bool { return a.node.Figures().Fences > 0 }))
	if got := a.add(t, 1); got != 8 {
		t.Errorf("sum %d", got)
	}
	c = f.start("c", strategies.Voter)
	f.formed(c)
	if after := c.life(t); after <= before {
		t.Errorf("incarnation %d after %d", after, before)
	}
	within(t, 5*time.Second, "c has caught up", func() bool { return c.log.value() == 8 })
}

// With two of three gone, the third may not write, and says so.
func TestMinority(t *testing.T) {
	f := newFleet(t, "a", "b", "c")
	a, b, c := f.start("a", strategies.Voter), f.start("b", strategies.Voter), f.start("c", strategies.Voter)
	f.formed(a, b, c)
	a.vanish()
	b.vanish()
	t.Logf("closed after %s", within(t, 2*time.Second, "c's gate is closed", func() bool { return !c.node.Allow() }))
	_, _, err := c.node.Propose(t.Context(), "counter", make([]byte, 8))
	if !errors.Is(err, control.ErrNoQuorum) {
		t.Errorf("%v", err)
	}
	a, b = f.start("a", strategies.Voter), f.start("b", strategies.Voter)
	f.formed(a, b, c)
}

// A voter that lost its disk returns as a new member, and gets its vote again once it has caught up.
func TestLostDisk(t *testing.T) {
	f := newFleet(t, "a", "b", "c")
	a, b, c := f.start("a", strategies.Voter), f.start("b", strategies.Voter), f.start("c", strategies.Voter)
	f.formed(a, b, c)
	a.add(t, 4)
	store := c.status(t).Members[2].Store
	c.vanish()
	f.wipe("c")
	c = f.start("c", strategies.Voter)
	f.formed(c)
	within(t, 20*time.Second, "c votes with another store", func() bool {
		for _, m := range a.status(t).Members {
			if m.Gateway == "c" && m.Role == "voter" && m.Store != store && m.Up {
				return len(a.status(t).Members) == 3
			}
		}
		return false
	})
	if c.log.value() != 4 {
		t.Errorf("sum %d", c.log.value())
	}
}

// Two of three are destroyed; the third is forced; the old ones are refused.
func TestForce(t *testing.T) {
	f := newFleet(t, "a", "b", "c")
	a, b, c := f.start("a", strategies.Voter), f.start("b", strategies.Voter), f.start("c", strategies.Voter)
	f.formed(a, b, c)
	a.add(t, 3)
	if err := c.node.Force(t.Context(), "region-c", "test"); !errors.Is(err, control.ErrRefused) {
		t.Errorf("forced while there is a leader: %v", err)
	}
	a.vanish()
	b.vanish()
	within(t, 5*time.Second, "c sees no leader", func() bool { return c.node.Leader() == "" })
	if err := c.node.Force(t.Context(), "region-c", "test"); err != nil {
		t.Fatal(err)
	}
	f.formed(c)
	if got := c.add(t, 1); got != 4 {
		t.Errorf("sum %d", got)
	}
	if s := c.status(t); s.Generation != 2 || len(s.Forced) != 1 || s.Forced[0].By != "test" {
		t.Errorf("%+v", s)
	}
	a = f.start("a", strategies.Voter)
	within(t, 5*time.Second, "a is refused", func() bool { return a.node.Refused() && containsAll(a.lines.String(), "quorate rejoin") })
	if a.node.Allow() {
		t.Error("a writes")
	}
	a.vanish()
	if _, err := control.SetAside(f.store("a")); err != nil {
		t.Fatal(err)
	}
	a = f.start("a", strategies.Voter)
	f.formed(a)
	within(t, 5*time.Second, "a has caught up", func() bool { return a.log.value() == 4 })
}

// A rule changes from one master to another; the write gate follows.
func TestMaster(t *testing.T) {
	f := newFleet(t, "a", "b", "c")
	f.master = "a"
	a, b, c := f.start("a", strategies.Voter), f.start("b", strategies.Voter), f.start("c", strategies.Voter)
	f.formed(a, b, c)
	f.mu.Lock()
	f.master = "b"
	f.mu.Unlock()
	within(t, 10*time.Second, "the rule is b", func() bool { s := c.status(t); return s.Rule == "b" && !s.Joint })
	f.formed(a, b, c)
	a.vanish()
	within(t, 5*time.Second, "c writes still, or again", c.node.Allow)
}
