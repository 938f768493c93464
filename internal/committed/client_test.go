package committed

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// group is a log in memory, with what a network does to it. Entries are applied in their order.
type group struct {
	part    *Part
	commit  time.Duration // how long an entry takes
	closed  bool          // the gate
	refuse  error         // nothing is applied
	lose    int           // so many answers get lost after their entries were applied
	mu      sync.Mutex
	entries []int // items of each
	flying  int
	most    int // entries on their way at once
}

func (g *group) Allow() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.closed
}

func (g *group) Propose(ctx context.Context, part string, command []byte) (uint64, []byte, error) {
	g.mu.Lock()
	g.flying++
	g.most = max(g.most, g.flying)
	commit := g.commit
	g.mu.Unlock()
	defer func() { g.mu.Lock(); g.flying--; g.mu.Unlock() }()
	select {
	case <-time.After(commit):
	case <-ctx.Done():
		return 0, nil, ctx.Err()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.refuse != nil {
		return 0, nil, g.refuse
	}
	if part != PartName || len(command) > MaxEntry {
		return 0, nil, fmt.Errorf("part %s, %d bytes", part, len(command))
	}
	index := uint64(len(g.entries) + 1)
	result, err := g.part.Apply(index, command)
	g.entries = append(g.entries, len(result))
	if g.lose > 0 {
		g.lose--
		return 0, nil, errors.New("the answer is lost")
	}
	return index, result, err
}

func newGroup(t *testing.T, commit time.Duration, also ...func(*Config)) (*group, *Client) {
	t.Helper()
	g := &group{part: NewPart(), commit: commit}
	cfg := Config{Part: g.part, Group: g}
	for _, a := range also {
		a(&cfg)
	}
	c, err := New(cfg)
	must(t, err)
	t.Cleanup(c.Close)
	return g, c
}

// record is one of gateway a.
func record(id string, ballot, version uint64, contents string) Record {
	return put(id, ballot, version, contents).record
}

// What comes while entries are on their way goes into the next one, and never more than two are.
func TestGroupCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := newGroup(t, 100*time.Millisecond)
		began := time.Now()
		var all sync.WaitGroup
		for i := range 1500 {
			all.Go(func() {
				if err := c.Put(t.Context(), record(fmt.Sprint(i), 0, 1, "a")); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		all.Wait()
		if took := time.Since(began); took != 200*time.Millisecond || len(g.entries) != 4 || g.most != maxFlying || g.part.Room().Records != 1500 {
			t.Errorf("%s, entries of %v items, %d at once, %+v", took, g.entries, g.most, g.part.Room())
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.entries[2]+g.entries[3] != 1498 || max(g.entries[2], g.entries[3]) > MaxItems {
			t.Errorf("entries of %v items", g.entries)
		}
	})
}

// An entry stays within its bytes, whatever comes at once.
func TestLargeOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := newGroup(t, 100*time.Millisecond)
		var all sync.WaitGroup
		for i := range 30 {
			all.Go(func() {
				if err := c.Put(t.Context(), record(fmt.Sprint(i), 0, 1, string(make([]byte, MaxContents)))); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if g.part.Room().Records != 30 || len(g.entries) < 30/4 {
			t.Errorf("%+v in %d entries", g.part.Room(), len(g.entries))
		}
		if err := c.Put(t.Context(), record("x", 0, 1, string(make([]byte, MaxContents+1)))); !errors.Is(err, ErrTooLarge) {
			t.Error(err)
		}
	})
}

// An answer that is lost is asked for again, and the change is there once.
func TestLostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := newGroup(t, time.Millisecond)
		g.lose = 3
		must(t, c.Put(t.Context(), record("x", 0, 1, "a")))
		if len(g.entries) != 4 || g.part.show("x") != "0.1 a" {
			t.Errorf("%d entries, %s", len(g.entries), g.part.show("x"))
		}
		g.lose = 1
		must(t, c.Drop(t.Context(), record("x", 0, 2, "")))
		if g.part.show("x") != "deleted" {
			t.Error(g.part.show("x"))
		}
	})
}

// Who is refused at a second try is told that the first may have been applied; at the first try nothing has been.
func TestStaleAtSecondTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := newGroup(t, time.Millisecond)
		g.lose = 1
		var taken Record
		done := make(chan error)
		go func() { done <- c.Put(t.Context(), record("x", 0, 1, "a")) }()
		time.Sleep(20 * time.Millisecond) // the first try was applied, the second is not sent yet
		other, err := New(Config{Part: g.part, Group: g})
		must(t, err)
		defer other.Close()
		taken, _, err = other.Take(t.Context(), record("x", 7, 0, ""))
		must(t, err)
		must(t, other.Put(t.Context(), record("x", 7, 1, string(taken.Contents)+"b")))
		if err := <-done; !errors.Is(err, ErrStale) || !errors.Is(err, ErrUnknown) || g.part.show("x") != "7.1 ab" {
			t.Errorf("%v, %s", err, g.part.show("x"))
		}
		if err := c.Put(t.Context(), record("x", 0, 2, "c")); !errors.Is(err, ErrStale) || errors.Is(err, ErrUnknown) {
			t.Error(err)
		}
	})
}

func TestNoQuorum(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := newGroup(t, time.Millisecond, func(c *Config) { c.Patience = time.Second })
		g.refuse = errors.New("nobody leads")
		began := time.Now()
		if err := c.Put(t.Context(), record("x", 0, 1, "a")); !errors.Is(err, ErrNoQuorum) || time.Since(began) != time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		began = time.Now()
		time.AfterFunc(300*time.Millisecond, func() { g.mu.Lock(); g.closed = true; g.mu.Unlock() })
		if err := c.Put(t.Context(), record("x", 0, 1, "a")); !errors.Is(err, ErrNoQuorum) || time.Since(began) > 400*time.Millisecond {
			t.Errorf("%v after %s: the gate is closed", err, time.Since(began))
		}
		began = time.Now()
		if _, _, err := c.Look(t.Context(), Key{1, "x"}); !errors.Is(err, ErrNoQuorum) || time.Since(began) != 0 {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		g.closed, g.refuse = false, nil
		must(t, c.Put(t.Context(), record("x", 0, 1, "a")))
	})
}

// An entry that nobody answers is given up after a while, and asked for again.
func TestHungEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := newGroup(t, time.Hour, func(c *Config) { c.Try = 500 * time.Millisecond })
		time.AfterFunc(400*time.Millisecond, func() { g.mu.Lock(); g.commit = time.Millisecond; g.mu.Unlock() })
		began := time.Now()
		must(t, c.Put(t.Context(), record("x", 0, 1, "a")))
		if took := time.Since(began); took > 600*time.Millisecond {
			t.Error(took)
		}
	})
}

func TestNotAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		final, ready := errors.New("no such part"), false
		g, c := newGroup(t, time.Millisecond, func(c *Config) {
			c.Ready = func() bool { return ready }
			c.Final = func(err error) bool { return errors.Is(err, final) }
		})
		if err := c.Put(t.Context(), record("x", 0, 1, "a")); !errors.Is(err, ErrNotReady) {
			t.Error(err)
		}
		ready = true
		g.refuse = final
		if err := c.Put(t.Context(), record("x", 0, 1, "a")); !errors.Is(err, ErrRefused) {
			t.Error(err)
		}
		g.refuse = nil
		must(t, c.Expire(t.Context(), time.Unix(soon, 0)))
		if len(g.entries) != 0 {
			t.Errorf("%d entries", len(g.entries))
		}
		must(t, c.Put(t.Context(), record("x", 0, 1, "a")))
		must(t, c.Expire(t.Context(), time.Unix(soon, 0)))
		if err := c.Put(t.Context(), record("x", 0, 2, "a")); !errors.Is(err, ErrOver) || g.part.show("x") != "none" {
			t.Errorf("%v, %s", err, g.part.show("x"))
		}
		if _, found, err := c.Take(t.Context(), record("x", 3, 0, "")); err != nil || found {
			t.Error(found, err)
		}
	})
}

// What waits is bounded, and who leaves is not sent.
func TestBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := newGroup(t, time.Second)
		ctx, leave := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for i := range maxQueued/MaxContents - 1 + 2*3 {
			all.Go(func() { _ = c.Put(ctx, record(fmt.Sprint(i), 0, 1, string(make([]byte, MaxContents)))) })
		}
		synctest.Wait()
		if err := c.Put(t.Context(), record("x", 0, 1, string(make([]byte, MaxContents)))); !errors.Is(err, ErrBusy) {
			t.Error(err)
		}
		leave()
		all.Wait()
		must(t, c.Put(t.Context(), record("y", 0, 1, "a")))
		if n := len(g.entries); n > maxFlying+1 {
			t.Errorf("%d entries for those who have left", n)
		}
		c.Close()
		if err := c.Put(t.Context(), record("x", 0, 1, "a")); !errors.Is(err, ErrNoQuorum) {
			t.Error(err)
		}
	})
}

func TestConfig(t *testing.T) {
	g := &group{part: NewPart()}
	for name, cfg := range map[string]Config{
		"no part": {Group: g}, "no group": {Part: g.part}, "patience": {Part: g.part, Group: g, Patience: time.Hour}, "try": {Part: g.part, Group: g, Try: 1},
	} {
		if _, err := New(cfg); err == nil {
			t.Error(name)
		}
	}
}
