package control_test

import (
	"slices"
	"testing"
	"time"

	"github.com/quorate/quorate/strategies"
)

// leader returns the member that leads.
func (f *fleet) leader() *member {
	f.t.Helper()
	var found *member
	within(f.t, 10*time.Second, "somebody leads", func() bool {
		for _, m := range f.all() {
			if !m.vanished() && m.node.Leader() == m.name {
				found = m
			}
		}
		return found != nil
	})
	return found
}

func (m *member) electorate(voters []string, others ...string) func() bool {
	return func() bool {
		v, o := m.node.Servers()
		return slices.Equal(v, voters) && slices.Equal(o, others)
	}
}

// The rule's voters get Raft's vote back, whatever an interrupted change has left.
func TestVoteIsGivenBack(t *testing.T) {
	f := newFleet(t, "a", "b", "c")
	a, b, c := f.start("a", strategies.Voter), f.start("b", strategies.Voter), f.start("c", strategies.Voter)
	f.formed(a, b, c)
	l := f.leader()
	other := "a"
	if l.name == "a" {
		other = "b"
	}
	if err := l.node.Unseat(other); err != nil {
		t.Fatal(err)
	}
	within(t, 10*time.Second, other+" votes again", l.electorate([]string{"a", "b", "c"}))
}

// A voter that is first by name loses its disk twice: in the end its last store votes, and no other is kept.
func TestLostDiskTwice(t *testing.T) {
	f := newFleet(t, "a", "b", "c")
	a, b, c := f.start("a", strategies.Voter), f.start("b", strategies.Voter), f.start("c", strategies.Voter)
	f.formed(a, b, c)
	for range 2 {
		a.vanish()
		f.wipe("a")
		a = f.start("a", strategies.Voter)
		f.formed(a)
		within(t, 20*time.Second, "a votes", b.electorate([]string{"a", "b", "c"}))
	}
	within(t, 10*time.Second, "the rule is final", func() bool { return !b.node.Ruling().Joint() })
	c.vanish()
	within(t, 10*time.Second, "a and b write", func() bool { return a.node.Allow() && b.node.Allow() && b.node.Leader() != "c" })
	b.add(t, 1)
}

// A member without a vote that loses its disk leaves no server behind.
func TestMemberLosesDisk(t *testing.T) {
	f := newFleet(t, "a", "b", "c")
	a, b, c := f.start("a", strategies.Voter), f.start("b", strategies.Voter), f.start("c", strategies.Voter)
	d := f.start("d", strategies.Member)
	f.formed(a, b, c, d)
	d.vanish()
	f.wipe("d")
	d = f.start("d", strategies.Member)
	f.formed(d)
	within(t, 10*time.Second, "one d is left", a.electorate([]string{"a", "b", "c"}, "d"))
	if s := d.status(t); len(s.Members) != 4 {
		t.Errorf("%+v", s.Members)
	}
}
