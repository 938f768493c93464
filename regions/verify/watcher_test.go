package verify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/identity"
)

// world is a node as time passes: it answers checks by the clock.
type world struct {
	began time.Time
	good  func(at time.Duration) bool
	other func(at time.Duration) bool // another answers in its place; nil: never
	takes time.Duration               // how long a check takes

	mu     sync.Mutex
	checks []time.Duration // when they began
	idled  int
}

func (w *world) check(ctx context.Context) (*report, error) {
	at := time.Since(w.began)
	w.mu.Lock()
	w.checks = append(w.checks, at)
	w.mu.Unlock()
	if !sleep(ctx, w.takes) {
		return nil, ctx.Err()
	}
	if w.other != nil && w.other(at) {
		return nil, fmt.Errorf("server/discover: %w", &identity.Error{Want: "one key", Got: "another"})
	}
	if !w.good(at) {
		return nil, errors.New("down")
	}
	return &report{facts: regions.Facts{Eras: regions.Modern}, sent: time.Now(), latency: w.takes}, nil
}

func (w *world) follow(context.Context, feed, func()) {}
func (w *world) close(context.Context)                {}

func (w *world) idle() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.idled++
}

func (w *world) idles() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.idled
}

func (w *world) seen() []time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]time.Duration(nil), w.checks...)
}

// observe runs a watcher on w inside a synctest bubble, with jitter at its middle.
func observe(t *testing.T, w *world, log *strings.Builder) (*watcher, func()) {
	t.Helper()
	cfg := &Config{Service: "tools", Logger: slog.New(slog.DiscardHandler), random: func() float64 { return 0.5 }}
	if log != nil {
		cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
	}
	if err := cfg.withDefaults(); err != nil {
		t.Fatal(err)
	}
	w.began = time.Now()
	p := regions.Proposal{ID: "a", Service: "tools", URL: "http://192.0.2.1/mcp"}
	watch := newWatcher(cfg, p, w, make(chan struct{}, 1), func() {})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); watch.run(ctx) }()
	synctest.Wait()
	return watch, func() { cancel(); <-done }
}

// pass lets the bubble's clock move on.
func pass(d time.Duration) { <-time.After(d) }

func durations(texts ...string) (d []time.Duration) {
	for _, s := range texts {
		v, err := time.ParseDuration(s)
		if err != nil {
			panic(err)
		}
		d = append(d, v)
	}
	return d
}

func TestChecksFollowTheClock(t *testing.T) {
	up := func(time.Duration) bool { return true }
	tests := []struct {
		name  string
		good  func(time.Duration) bool
		act   func(*watcher)
		run   time.Duration
		want  []time.Duration
		state regions.State
	}{
		{"healthy", up, nil, 16 * time.Second, durations("0s", "5s", "10s", "15s"), regions.Healthy},
		{"starts late", func(at time.Duration) bool { return at > 300*time.Millisecond }, nil, 2 * time.Second,
			durations("0s", "50ms", "150ms", "350ms"), regions.Healthy},
		{"three failures at the interval", func(at time.Duration) bool { return at < time.Second }, nil, 15500 * time.Millisecond,
			durations("0s", "5s", "10s", "15s", "15.05s", "15.15s", "15.35s"), regions.Unhealthy},
		{"one failure", func(at time.Duration) bool { return at != 5*time.Second }, nil, 11 * time.Second,
			durations("0s", "5s", "10s", "10.1s"), regions.Healthy},
		{"passive failure of a good node", up, func(w *watcher) {
			pass(time.Second)
			for range 100 {
				w.suspect()
			}
		}, 7 * time.Second, durations("0s", "1s", "6s"), regions.Healthy},
		{"passive failures do not stampede", up, func(w *watcher) {
			for range 1000 {
				w.suspect()
				pass(time.Millisecond)
			}
		}, 1200 * time.Millisecond, durations("0s", "250ms", "500ms", "750ms", "1s"), regions.Healthy},
		{"dead, then up", func(at time.Duration) bool { return at < time.Second || at > 1200*time.Millisecond }, func(w *watcher) {
			pass(time.Second)
			w.dead()
		}, 3 * time.Second, durations("0s", "1.05s", "1.15s", "1.35s", "1.45s"), regions.Healthy},
		{"dead for long", func(at time.Duration) bool { return at < time.Second }, func(w *watcher) {
			pass(time.Second)
			w.dead()
			pass(time.Second)
			w.dead() // traffic in panic does not hurry the re-checks
		}, 20 * time.Second, durations("0s", "1.05s", "1.15s", "1.35s", "1.75s", "2.55s", "4.15s", "7.35s", "12.35s", "17.35s"), regions.Unhealthy},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{good: tt.good}
				watch, stop := observe(t, w, nil)
				if tt.act != nil {
					tt.act(watch)
				}
				pass(tt.run - time.Since(w.began))
				synctest.Wait()
				state := watch.state()
				stop()
				if diff := cmp.Diff(tt.want, w.seen()); diff != "" {
					t.Errorf("checks (-want +got):\n%s", diff)
				}
				if state != tt.state {
					t.Errorf("state %v, want %v", state, tt.state)
				}
			})
		})
	}
}

// A check that was under way when the node died says nothing of the node afterwards.
func TestDeathDiscardsTheCheckUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{good: func(time.Duration) bool { return true }, takes: 40 * time.Millisecond}
		watch, stop := observe(t, w, nil)
		defer stop()
		pass(5050 * time.Millisecond) // 10 ms into the second check
		watch.dead()
		synctest.Wait()
		if n := watch.node(); n.State != regions.Unhealthy || n.ConsecutiveFailures != 3 {
			t.Errorf("right after: %v, %d failures", n.State, n.ConsecutiveFailures)
		}
		pass(60 * time.Millisecond) // the re-check began after 50 ms, is not done
		if got := watch.state(); got != regions.Unhealthy {
			t.Errorf("the cut check counted: %v", got)
		}
		pass(200 * time.Millisecond)
		n := watch.node()
		if n.State != regions.Healthy || !n.Since.Equal(w.began.Add(5040*time.Millisecond+10*time.Millisecond+50*time.Millisecond+40*time.Millisecond+100*time.Millisecond+40*time.Millisecond)) {
			t.Errorf("after two good checks: %v since %v", n.State, n.Since.Sub(w.began))
		}
	})
}

func TestEveryChangeIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		w := &world{good: func(at time.Duration) bool {
			return at > 200*time.Millisecond && (at < 6*time.Second || at > time.Minute)
		}}
		_, stop := observe(t, w, &log)
		pass(2 * time.Minute)
		synctest.Wait()
		stop()
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		want := []string{"does not verify yet", "to=healthy", "to=degraded", "to=unhealthy", "to=healthy"}
		if len(lines) != len(want) {
			t.Fatalf("%d lines, want %d:\n%s", len(lines), len(want), log.String())
		}
		for i, part := range want {
			if !strings.Contains(lines[i], part) || !strings.Contains(lines[i], "node=a") || !strings.Contains(lines[i], "cause=") {
				t.Errorf("line %d: %s; want %s", i, lines[i], part)
			}
		}
	})
}

// Checks wait for their turn without failing.
func TestConcurrencyIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := &Config{Service: "tools", Logger: slog.New(slog.DiscardHandler), random: func() float64 { return 0.5 }}
		if err := cfg.withDefaults(); err != nil {
			t.Fatal(err)
		}
		slots := make(chan struct{}, 4)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		var worlds []*world
		for range 12 {
			w := &world{began: time.Now(), good: func(time.Duration) bool { return true }, takes: time.Second}
			worlds = append(worlds, w)
			watch := newWatcher(cfg, regions.Proposal{ID: "a"}, w, slots, func() {})
			wg.Go(func() { watch.run(ctx) })
		}
		pass(3500 * time.Millisecond)
		cancel()
		wg.Wait()
		begun := map[time.Duration]int{}
		for _, w := range worlds {
			begun[w.seen()[0]]++
		}
		if diff := cmp.Diff(map[time.Duration]int{0: 4, time.Second: 4, 2 * time.Second: 4}, begun); diff != "" {
			t.Errorf("first checks by the time they began (-want +got):\n%s", diff)
		}
	})
}
