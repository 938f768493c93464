package control_test

import (
	"testing"
	"time"

	"github.com/quorate/quorate/strategies"
)

// Files that expect different voters found nothing; once they are the same, they do, and only one cluster.
func TestDifferentExpectations(t *testing.T) {
	f := newFleet(t, "a", "b", "c")
	a, c := f.start("a", strategies.Voter), f.start("c", strategies.Voter)
	f.expect = []string{"b", "c", "d"}
	b, d := f.start("b", strategies.Voter), f.start("d", strategies.Voter)
	within(t, 10*time.Second, "a says why", func() bool { return containsAll(a.lines.String(), "write the same in every voter's file") })
	within(t, 10*time.Second, "b says why", func() bool { return containsAll(b.lines.String(), "write the same in every voter's file") })
	for _, m := range []*member{a, b, c, d} {
		if m.node.Cluster() != "" {
			t.Errorf("%s is of cluster %s", m.name, m.node.Cluster())
		}
	}
	b.vanish()
	f.expect = []string{"a", "b", "c"}
	b = f.start("b", strategies.Voter)
	f.formed(a, b, c, d)
	if b.node.Cluster() != a.node.Cluster() || d.node.Cluster() != a.node.Cluster() {
		t.Error("there are two clusters")
	}
}

// A gateway that is of no cluster joins the generation that goes on, though one of the generation before is there too.
func TestJoinsLastGeneration(t *testing.T) {
	f, c := forced(t)
	a := f.start("a", strategies.Voter)
	d := f.start("d", strategies.Member)
	f.formed(d)
	if d.node.Cluster() != c.node.Cluster() || a.node.Cluster() == c.node.Cluster() || a.node.Allow() {
		t.Errorf("a is of %s, c of %s, d of %s", a.node.Cluster(), c.node.Cluster(), d.node.Cluster())
	}
}
