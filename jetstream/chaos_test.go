package jetstream

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/natsproc"
	"github.com/quorate/quorate/strategies"
)

// seed is TEST_SEED, else from the clock; it is printed.
func seed(t *testing.T) uint64 {
	t.Helper()
	s := uint64(time.Now().UnixNano())
	if word := os.Getenv("TEST_SEED"); word != "" {
		var err error
		if s, err = strconv.ParseUint(word, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("seed %d", s)
	return s
}

// opened is a store of one gateway.
func opened(t *testing.T, c *natsproc.Cluster, gateway string) *Store {
	t.Helper()
	s := &Store{Log: slog.New(slog.DiscardHandler)}
	told := strategies.Settings{Gateway: gateway, Region: "region-1", JSON: c.Settings("chaos")}
	if err := s.Configure(t.Context(), told); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// history is what became of one key: the newest that was acknowledged, and what was promised.
type history struct {
	mu             sync.Mutex
	ballot, acked  uint64 // the newest acknowledged record
	puts, unknown  int
	takes, refused int
}

// TestAcknowledgedStays kills servers under writers and takers of the same keys: whoever takes a key over reads all that
// was acknowledged before, nothing is acknowledged below a promise, and in the end the newest is there.
func TestAcknowledgedStays(t *testing.T) {
	random := rand.New(rand.NewPCG(seed(t), 0))
	c := cluster(t)
	stores := []*Store{opened(t, c, "gw-1"), opened(t, c, "gw-2")}
	const keys = 6
	all := make([]history, keys)
	ctx, stop := context.WithCancel(t.Context())
	var work sync.WaitGroup
	for i := range keys {
		work.Go(func() { rewrite(ctx, t, stores, fmt.Sprintf("chaos/%d", i), &all[i]) })
	}
	for range 4 {
		wait(ctx, 500*time.Millisecond+time.Duration(random.IntN(1500))*time.Millisecond)
		s := c.Servers[random.IntN(len(c.Servers))]
		s.Kill()
		wait(ctx, time.Duration(random.IntN(3000))*time.Millisecond)
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	within, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := c.Await(within); err != nil {
		t.Fatal(err)
	}
	stop()
	work.Wait()
	puts, unknown, takes := 0, 0, 0
	for i := range all {
		h := &all[i]
		puts, unknown, takes = puts+h.puts, unknown+h.unknown, takes+h.takes
		a := asked(within, t, stores[i%2], strategies.Query{Key: fmt.Sprintf("chaos/%d", i)})
		if !a.Found || a.Record.Ballot < h.ballot || a.Record.Ballot == h.ballot && a.Record.Version < h.acked {
			t.Errorf("key %d: (%d, %d) was acknowledged, (%d, %d) is there", i, h.ballot, h.acked, a.Record.Ballot, a.Record.Version)
		}
	}
	t.Logf("N=%d acknowledged, %d unknown, %d takeovers, 4 kills", puts, unknown, takes)
	if puts < 100 || takes < 10 {
		t.Errorf("%d acknowledged and %d takeovers are too few to show anything", puts, takes)
	}
}

// rewrite plays owners of one key one after the other: each takes it under a higher ballot, by one store or the other,
// while the one before goes on writing until it is refused.
func rewrite(ctx context.Context, t *testing.T, stores []*Store, key string, h *history) {
	var work sync.WaitGroup
	defer work.Wait()
	for ballot := uint64(1); ctx.Err() == nil; ballot++ {
		h.mu.Lock()
		b, v := h.ballot, h.acked
		h.mu.Unlock()
		answers, err := stores[ballot%2].Get(ctx, []strategies.Query{{Key: key, Ballot: ballot, Until: time.Now().Unix() + 600}})
		if err != nil {
			continue
		}
		a := answers[0]
		if b > 0 && (!a.Found || a.Record.Ballot < b || a.Record.Ballot == b && a.Record.Version < v) {
			t.Errorf("%s: (%d, %d) was acknowledged before ballot %d read (%d, %d)", key, b, v, ballot, a.Record.Ballot, a.Record.Version)
		}
		if a.Found && a.Record.Ballot >= ballot {
			continue // the last round's answer was lost, and its owner has written
		}
		h.mu.Lock()
		h.takes++
		h.mu.Unlock()
		work.Go(func() { own(ctx, t, stores[ballot%2], key, ballot, h) })
		wait(ctx, 150*time.Millisecond)
	}
}

// own writes versions under a ballot until it is refused.
func own(ctx context.Context, t *testing.T, s *Store, key string, ballot uint64, h *history) {
	for v := uint64(1); ctx.Err() == nil; v++ {
		r := strategies.Record{Key: key, Service: "tools", Owner: "gw", Ballot: ballot, Version: v, Until: time.Now().Unix() + 600, Contents: []byte("contents")}
		written, err := s.Put(ctx, []strategies.Record{r})
		h.mu.Lock()
		switch {
		case err != nil:
			h.unknown++
		case written[0].Outcome == strategies.Kept:
			h.puts++
			if ballot < h.ballot {
				// It may have been kept before the newer one was promised and be told of later; a read decides.
			} else if ballot > h.ballot || v > h.acked {
				h.ballot, h.acked = ballot, v
			}
		default:
			h.refused++
			h.mu.Unlock()
			return
		}
		h.mu.Unlock()
	}
}

func asked(ctx context.Context, t *testing.T, s *Store, q strategies.Query) strategies.Answer {
	t.Helper()
	for {
		answers, err := s.Get(ctx, []strategies.Query{q})
		if err == nil {
			return answers[0]
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
