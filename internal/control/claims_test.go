package control_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/control"
	"github.com/quorate/quorate/strategies"
)

// What a dead gateway owned is claimed by the others, many records at once, each by one of them.
func TestClaim(t *testing.T) {
	f := newFleet(t, "a", "b", "c")
	a, b, c := f.start("a", strategies.Voter), f.start("b", strategies.Voter), f.start("c", strategies.Voter)
	f.formed(a, b, c)
	minter := c.node.Life()
	if minter.Gateway != "c" || minter.Incarnation == 0 || a.node.Ended(minter) {
		t.Fatalf("c lives as %s", minter)
	}
	for _, m := range []*member{a, b} {
		within(t, 5*time.Second, "all read claims together", func() bool { return m.node.AllRead(t.Context(), authority.KindTakes, "counter") })
	}
	if a.node.AllRead(t.Context(), authority.KindTakes, "another part") {
		t.Error("nobody has that part")
	}
	take := func(m *member, i int, released bool) (authority.Index, error) {
		return m.node.Claim(t.Context(), authority.Take{Record: fmt.Sprintf("record %d", i), Minter: minter, Claimant: m.node.Life(), Released: released})
	}
	if _, err := take(a, 0, false); !errors.Is(err, control.ErrRefused) {
		t.Errorf("claimed from who lives: %v", err)
	}
	if ballot, err := take(a, 1, true); err != nil || a.node.Owner("record 1", minter) != (authority.Claim{Ballot: ballot, Owner: a.node.Life()}) {
		t.Errorf("what was released is not claimed: %v", err)
	}
	if _, err := a.node.Claim(t.Context(), authority.Take{Record: "r", Minter: minter, Claimant: b.node.Life()}); !errors.Is(err, control.ErrRefused) {
		t.Errorf("claimed for another: %v", err)
	}
	if got := len(a.node.Carriers()); got != 3 {
		t.Errorf("%d carriers", got)
	}
	c.vanish()
	within(t, 10*time.Second, "c is fenced", func() bool { return a.node.Ended(minter) && b.node.Ended(minter) })
	for _, m := range []*member{a, b} {
		within(t, 5*time.Second, "it is told", func() bool { return slices.Equal(m.told(), []authority.Life{minter}) })
	}
	if got := a.node.Carriers(); len(got) != 2 || got[0].Gateway != "a" || got[0].Region != "region-a" || got[0].Life != a.node.Life() || got[0].Store == "" {
		t.Errorf("%+v", got)
	}
	const records = 1500
	before := a.status(t).Commit
	began := time.Now()
	var mu sync.Mutex
	owners, ballots := map[int]string{}, map[authority.Index]bool{}
	var all sync.WaitGroup
	for i := 10; i < 10+records; i++ {
		for _, m := range []*member{a, b} {
			all.Go(func() {
				ballot, err := take(m, i, false)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil && owners[i] == "":
					owners[i], ballots[ballot] = m.name, true
				case err == nil:
					t.Errorf("record %d has two owners", i)
				case !errors.Is(err, control.ErrRefused):
					t.Errorf("record %d: %v", i, err)
				}
			})
		}
	}
	all.Wait()
	took, entries := time.Since(began), a.status(t).Commit-before
	t.Logf("N=%d claims by two of %d records in %s, %d entries", 2*records, records, took.Round(time.Millisecond), entries)
	if len(owners) != records || entries > records/10 {
		t.Errorf("%d of %d records are owned, by %d entries", len(owners), records, entries)
	}
	for i, name := range owners {
		if got := b.node.Owner(fmt.Sprintf("record %d", i), minter); got.Owner.Gateway != name || !ballots[got.Ballot] {
			t.Errorf("record %d is %s's, and was claimed by %s", i, got.Owner, name)
			break
		}
	}
	_, agreed, err := a.node.Verify(t.Context())
	for _, g := range agreed {
		if g.Gateway != "c" && (g.Problem != "" || g.Digest != agreed[0].Digest) {
			t.Errorf("%+v", g)
		}
	}
	if err != nil {
		t.Error(err)
	}
}

// Who may not write claims nothing, and whoever waits for a claim may give up.
func TestClaimWithoutQuorum(t *testing.T) {
	f := newFleet(t, "a", "b", "c")
	a, b, c := f.start("a", strategies.Voter), f.start("b", strategies.Voter), f.start("c", strategies.Voter)
	f.formed(a, b, c)
	minter, claimant := c.node.Life(), a.node.Life()
	take := authority.Take{Record: "r", Minter: minter, Claimant: claimant, Released: true}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.node.Claim(over, take); !errors.Is(err, control.ErrNoQuorum) {
		t.Errorf("%v", err)
	}
	b.vanish()
	c.vanish()
	within(t, 2*time.Second, "a's gate is closed", func() bool { return !a.node.Allow() })
	if _, err := a.node.Claim(t.Context(), take); !errors.Is(err, control.ErrNoQuorum) {
		t.Errorf("%v", err)
	}
	if got := a.node.Owner("r", minter); got != (authority.Claim{Owner: minter}) || a.node.Ended(minter) {
		t.Errorf("%+v", got)
	}
}

// A life is gone from the moment that its gateway leaves.
func TestLifeEnds(t *testing.T) {
	f := newFleet(t, "a", "b", "c")
	a, b, c := f.start("a", strategies.Voter), f.start("b", strategies.Voter), f.start("c", strategies.Voter)
	f.formed(a, b, c)
	life := c.node.Life()
	c.stop()
	if got := c.node.Life(); got != (authority.Life{}) {
		t.Errorf("it lives on as %s", got)
	}
	for _, m := range []*member{a, b} {
		within(t, 5*time.Second, "it is told", func() bool { return slices.Equal(m.told(), []authority.Life{life}) && m.node.Ended(life) })
	}
	c = f.start("c", strategies.Voter)
	f.formed(c)
	if again := c.node.Life(); again == life || !c.node.Ended(life) || len(c.told()) != 0 {
		t.Errorf("%s after %s; told of %v", again, life, c.told())
	}
}
