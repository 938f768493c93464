package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/logbook"
	"github.com/quorate/quorate/regions"
)

// scripted is a source that does what a test says.
type scripted func(ctx context.Context, emit func(Answer)) error

func (s scripted) Run(ctx context.Context, emit func(Answer)) error { return s(ctx, emit) }

// says emits every answer given through it, and ends with ctx.
func says(answers <-chan Answer) scripted {
	return func(ctx context.Context, emit func(Answer)) error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case a := <-answers:
				emit(a)
			}
		}
	}
}

func named(ids ...string) []regions.Proposal {
	var all []regions.Proposal
	for _, id := range ids {
		all = append(all, regions.Proposal{ID: regions.NodeID(id), URL: "http://" + id + "/mcp", Weight: 1})
	}
	return all
}

func idsOf(all []regions.Proposal) string {
	var ids []string
	for _, p := range all {
		ids = append(ids, string(p.ID))
	}
	return strings.Join(ids, " ")
}

func newGroup(t *testing.T, cfg Config) *Group {
	t.Helper()
	cfg.Service = "search"
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	cfg.random = func() float64 { return 0 }
	g, err := NewGroup(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func one(name string, s Source) []Supervised { return []Supervised{{ID{name, ""}, s}} }

func TestRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var starts []time.Duration
		began, runs := time.Now(), 0
		source := scripted(func(ctx context.Context, emit func(Answer)) error {
			starts = append(starts, time.Since(began))
			if runs++; runs == 12 {
				<-time.After(2 * time.Minute)
				began = time.Now()
				return errors.New("after a long good run")
			}
			if runs > 13 {
				<-ctx.Done()
				return nil
			}
			return fmt.Errorf("run %d", runs)
		})
		g := newGroup(t, Config{Sources: one("dns", source)})
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		var waits []time.Duration
		for i, at := range starts {
			if i > 0 {
				waits = append(waits, at-starts[i-1])
			}
		}
		want := "[100ms 200ms 400ms 800ms 1.6s 3.2s 6.4s 12.8s 25.6s 30s 30s"
		if got := fmt.Sprint(waits); !strings.HasPrefix(got, want) || len(starts) != 14 || starts[12] != 100*time.Millisecond || waits[12] != 200*time.Millisecond {
			t.Errorf("%v, then %v", got, starts[12:])
		}
		if s := g.Sources()[0]; s.Restarts != 13 || !s.Stale || s.Errors != 13 {
			t.Errorf("%+v", s)
		}
		g.Close()
	})
}

func TestJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := 0
		g := newGroup(t, Config{})
		g.cfg.random = func() float64 { return 0.5 }
		began := time.Now()
		var second time.Duration
		_ = g.Set(one("dns", scripted(func(ctx context.Context, _ func(Answer)) error {
			if runs++; runs == 2 {
				second = time.Since(began)
				<-ctx.Done()
			}
			return nil
		})))
		time.Sleep(time.Second)
		g.Close()
		if second != 75*time.Millisecond || !strings.Contains(g.Sources()[0].Cause, "without a reason") {
			t.Errorf("run again after %s: %+v", second, g.Sources())
		}
	})
}

func TestPanicIsCaught(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logbook.Book
		runs := 0
		source := scripted(func(ctx context.Context, emit func(Answer)) error {
			if runs++; runs == 1 {
				emit(Answer{Nodes: named("a", "b")})
				panic("a bug in the source")
			}
			emit(Answer{Nodes: named("a", "b")})
			<-ctx.Done()
			return nil
		})
		other := scripted(func(ctx context.Context, emit func(Answer)) error {
			emit(Answer{Nodes: named("c")})
			<-ctx.Done()
			return nil
		})
		g := newGroup(t, Config{Sources: append(one("consul", source), one("dns", other)...), Logger: slog.New(slog.NewTextHandler(&log, nil))})
		synctest.Wait()
		if s := g.Sources(); !s[0].Stale || s[1].Stale || idsOf(g.Nodes()) != "a b c" || !strings.Contains(s[0].Cause, "panic") {
			t.Errorf("%+v, %s", s, idsOf(g.Nodes()))
		}
		time.Sleep(time.Second)
		if s := g.Sources(); s[0].Stale || s[0].Restarts != 1 {
			t.Errorf("%+v", s)
		}
		g.Close()
		for _, want := range []string{"source panicked", "goroutine", "group_test.go", "source is stale", "source is fresh again", "service=search", "source=consul"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("no %q in the log:\n%s", want, log.String())
			}
		}
	})
}

// A thousand changes in a second are ten signals; the first comes at once, and nobody needs to listen.
func TestSignalsAreSpaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := make(chan Answer)
		g := newGroup(t, Config{Sources: one("dns", says(answers))})
		began := time.Now()
		var signals []time.Duration
		done := make(chan struct{})
		var listener sync.WaitGroup
		listener.Go(func() {
			for {
				select {
				case <-g.Changed():
					signals = append(signals, time.Since(began))
				case <-done:
					return
				}
			}
		})
		for i := range 1000 {
			answers <- Answer{Nodes: named("a", fmt.Sprint("n", i)), Removes: true}
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Second)
		close(done)
		listener.Wait()
		if len(signals) < 10 || len(signals) > 11 || signals[0] != 0 || idsOf(g.Nodes()) != "a n999" {
			t.Errorf("%v, %s", signals, idsOf(g.Nodes()))
		}
		for i := range 50 { // nobody listens
			answers <- Answer{Nodes: named(fmt.Sprint("m", i)), Removes: true}
		}
		time.Sleep(time.Second)
		<-g.Changed()
		select {
		case <-g.Changed():
			t.Error("more than one signal is kept")
		default:
		}
		answers <- Answer{Nodes: named("m49"), Removes: true}
		time.Sleep(time.Second)
		select {
		case <-g.Changed():
			t.Error("a signal for nothing")
		default:
		}
		g.Close()
	})
}

func TestSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs [4]atomic.Int32
		var late atomic.Pointer[func(Answer)]
		source := func(i int, a Answer) scripted {
			return func(ctx context.Context, emit func(Answer)) error {
				runs[i].Add(1)
				emit(a)
				<-ctx.Done()
				if i == 1 {
					late.Store(&emit)
					emit(Answer{Nodes: named("late"), Removes: true})
				}
				return nil
			}
		}
		g := newGroup(t, Config{Sources: []Supervised{
			{ID{"static", "1"}, source(0, Answer{Nodes: named("a"), Removes: true})},
			{ID{"consul", "1"}, source(1, Answer{Nodes: named("b", "c"), Removes: true})},
		}})
		synctest.Wait()
		<-g.Changed()
		err := g.Set([]Supervised{
			{ID{"consul", "2"}, source(2, Answer{Nodes: named("c", "d"), Removes: true})},
			{ID{"static", "1"}, source(3, Answer{Nodes: named("never"), Removes: true})},
		})
		synctest.Wait()
		if got := idsOf(g.Nodes()); err != nil || got != "a c d" {
			t.Errorf("%v, %s", err, got)
		}
		for i, want := range []int32{1, 1, 1, 0} {
			if got := runs[i].Load(); got != want {
				t.Errorf("source %d ran %d times, want %d", i, got, want)
			}
		}
		(*late.Load())(Answer{Nodes: named("later"), Removes: true})
		if got := idsOf(g.Nodes()); got != "a c d" {
			t.Errorf("a source that is gone still counts: %s", got)
		}
		if s := g.Status(); len(s.Nodes) != 3 || s.Sources[0].Name != "consul" || s.Nodes[0].Holders[0].Source != "static" {
			t.Errorf("%+v", s)
		}
		for what, bad := range map[string][]Supervised{
			"a name twice": append(one("a", source(3, Answer{})), one("a", source(3, Answer{}))...), "no source": one("a", nil),
			"no name": one("", source(3, Answer{})), "a reserved name": one(Disk, source(3, Answer{})), "too many": make([]Supervised, MaxSources+1),
		} {
			if err := g.Set(bad); !errors.Is(err, ErrBadSources) {
				t.Errorf("%s: %v", what, err)
			}
		}
		g.Close()
		if err := g.Set(nil); !errors.Is(err, ErrClosed) {
			t.Errorf("%v", err)
		}
		(*late.Load())(Answer{Nodes: named("later"), Removes: true})
		if got := idsOf(g.Nodes()); got != "a c d" {
			t.Errorf("after Close: %s", got)
		}
	})
}

// An hour in which every answer fails or is empty: what verifies stays, what does not goes after ten minutes.
func TestAnHourOfFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var dead atomic.Bool
		heard := false
		source := scripted(func(ctx context.Context, emit func(Answer)) error {
			if !heard {
				emit(Answer{Nodes: named("a", "b", "c")})
				heard = true
			}
			for i := 0; sleep(ctx, 5*time.Second); i++ {
				switch i % 3 {
				case 0:
					emit(Answer{Err: errors.New("SERVFAIL")})
				case 1:
					emit(Answer{})
				default:
					return errors.New("the network is down")
				}
			}
			return nil
		})
		g := newGroup(t, Config{Sources: one("dns", source), Failing: func(id regions.NodeID) (time.Time, bool) {
			return began.Add(20 * time.Minute), id == "b" && dead.Load()
		}})
		time.Sleep(20 * time.Minute)
		dead.Store(true)
		time.Sleep(10 * time.Minute)
		if got := idsOf(g.Nodes()); got != "a b c" {
			t.Errorf("after half an hour: %s", got)
		}
		time.Sleep(time.Minute)
		if got := idsOf(g.Nodes()); got != "a c" {
			t.Errorf("a node that fails verification for ten minutes: %s", got)
		}
		time.Sleep(29 * time.Minute)
		if got := idsOf(g.Nodes()); got != "a c" {
			t.Errorf("after an hour: %s", got)
		}
		if s := g.Sources()[0]; !s.Stale || s.Errors < 200 || s.Held != 2 {
			t.Errorf("%+v", s)
		}
		g.Close()
	})
}

func TestRestoredServeAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := make(chan Answer)
		g := newGroup(t, Config{Sources: one("consul", says(answers)), Restored: []Restored{{named("a")[0], []string{"consul"}}, {named("b")[0], []string{"gone"}}}})
		if got := idsOf(g.Nodes()); got != "a b" {
			t.Errorf("%s", got)
		}
		synctest.Wait()
		<-g.Changed()
		answers <- Answer{Nodes: named("a", "c"), Removes: true}
		synctest.Wait()
		if got := idsOf(g.Nodes()); got != "a c" {
			t.Errorf("%s", got)
		}
		g.Close()
	})
}

func TestNewGroupErrors(t *testing.T) {
	_, err := NewGroup(Config{Keeper: KeeperConfig{MaxNodes: -1, Bound: -1}, Sources: one("", nil)})
	for _, want := range []string{"service", "logger", "max nodes", "bound", "name", "none"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no word of %s: %v", want, err)
		}
	}
}

// Everybody at once, for the race detector.
func TestGroupAtOnce(t *testing.T) {
	source := func(i int) Source {
		return scripted(func(ctx context.Context, emit func(Answer)) error {
			for n := 0; ctx.Err() == nil && n < 200; n++ {
				emit(Answer{Nodes: named(fmt.Sprint("n", i), fmt.Sprint("m", n%7)), Removes: n%2 == 0})
			}
			<-ctx.Done()
			return nil
		})
	}
	g, err := NewGroup(Config{Service: "search", Logger: slog.New(slog.DiscardHandler), Failing: func(regions.NodeID) (time.Time, bool) { return time.Time{}, true }})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for n := range 20 {
				_ = g.Set([]Supervised{{ID{"a", fmt.Sprint(n % 3)}, source(i)}, {ID{"b", "1"}, source(7)}})
				_, _ = g.Status(), g.Nodes()
				g.expire()
			}
		})
	}
	all.Wait()
	g.Close()
	g.Close()
}
