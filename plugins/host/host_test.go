package host

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/quorate/quorate/strategies"
	"github.com/quorate/quorate/strategies/async"
)

// counter is a log that counts the lines of a plugin.
type counter struct {
	n    atomic.Int64
	lost atomic.Bool
}

func (c *counter) logger() *slog.Logger { return slog.New(slog.NewTextHandler(c, nil)) }

func (c *counter) Write(line []byte) (int, error) {
	if strings.Contains(string(line), "from=plugin") {
		c.n.Add(1)
	}
	if strings.Contains(string(line), "lines_lost=") {
		c.lost.Store(true)
	}
	return len(line), nil
}

func TestConfig(t *testing.T) {
	_, err := New(Config{Path: "plugin", SHA256: "zz", Decide: time.Hour, Backoff: time.Minute, MaxBackoff: time.Second})
	for _, want := range []string{"no name", "not absolute", "sha256sum", "decision 1h0m0s", "largest backoff 1s"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	c, err := Config{Name: "a", Path: "/a", Own: true}.withDefaults()
	if err != nil || c.Decide != 50*time.Millisecond || c.Health != 200*time.Millisecond || c.Backoff != 5*time.Second || c.MaxBackoff != 2*time.Minute {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestPace(t *testing.T) {
	p := pace{least: 5 * time.Second, most: 2 * time.Minute}
	var got []time.Duration
	for _, lived := range []time.Duration{time.Hour, 0, 0, 0, 0, 0, time.Minute, 2 * time.Minute, 0} {
		got = append(got, p.pause(lived)/time.Second)
	}
	if diff := cmp.Diff([]time.Duration{5, 10, 20, 40, 80, 120, 120, 5, 10}, got); diff != "" {
		t.Error(diff)
	}
}

// fake is a life of a plugin without a process.
type fake struct {
	hung   atomic.Bool
	over   chan struct{}
	killed atomic.Bool
}

func (f *fake) decide(context.Context, strategies.Input) (strategies.Rule, error) {
	return strategies.Single("a"), nil
}

func (f *fake) plan(_ context.Context, in strategies.PlanInput) (strategies.Plan, error) {
	return async.Plan(in)
}

func (f *fake) store() (strategies.Store, bool) { return nil, false }

func (f *fake) check(ctx context.Context) error {
	if !f.hung.Load() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	<-ctx.Done()
	return ctx.Err()
}
func (f *fake) ended() <-chan struct{} { return f.over }
func (f *fake) cause() error           { return errors.New("exit status 7") }
func (f *fake) version() int           { return 1 }
func (f *fake) pid() int               { return 77 }
func (f *fake) end()                   { f.killed.Store(true) }

// TestCrashLoopBacksOff: at 5, 10, 20 ... 120 s, and from the start again after two good minutes.
func TestCrashLoopBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, err := New(Config{Name: "a", Path: "/a", Own: true})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		var starts []time.Duration
		h.start = func(context.Context) (running, error) {
			starts = append(starts, time.Since(began)/time.Second)
			if len(starts)%2 == 0 {
				return nil, ErrStart
			}
			f := &fake{over: make(chan struct{})}
			lasts := time.Second
			if len(starts) == 9 {
				lasts = 10 * time.Minute
			}
			time.AfterFunc(lasts, func() { close(f.over) })
			return f, nil
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
		defer cancel()
		if err := h.Run(ctx); err != nil {
			t.Error(err)
		}
		want := []time.Duration{0, 6, 16, 37, 77, 158, 278, 399, 519, 1124, 1134, 1155, 1195}
		if diff := cmp.Diff(want, starts); diff != "" {
			t.Error(diff)
		}
		if s := h.Status(); s.State != Stopped || s.Restarts != len(starts)-1 {
			t.Errorf("%+v", s)
		}
	})
}

// TestHungPluginIsEnded: three health checks of 200 ms after the interval.
func TestHungPluginIsEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, err := New(Config{Name: "a", Path: "/a", Own: true})
		if err != nil {
			t.Fatal(err)
		}
		f := &fake{over: make(chan struct{})}
		h.start = func(context.Context) (running, error) { return f, nil }
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- h.Run(ctx) }()
		time.Sleep(10*time.Minute + 500*time.Millisecond)
		if f.killed.Load() || h.Status().State != Running {
			t.Fatal("a healthy plugin was ended")
		}
		f.hung.Store(true)
		time.Sleep(500*time.Millisecond + 599*time.Millisecond)
		if f.killed.Load() {
			t.Error("it was ended before three checks had failed")
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		if !f.killed.Load() || h.Status().State != Waiting {
			t.Errorf("a hung plugin runs on: %+v", h.Status())
		}
		if _, err := h.Decide(ctx, three()); !errors.Is(err, ErrDown) {
			t.Errorf("while it is down: %v", err)
		}
		cancel()
		<-done
	})
}

func TestSinkPassesWhatMatters(t *testing.T) {
	var text strings.Builder
	log := newSink(Config{Name: "mine", Log: slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelInfo}))}).logger()
	log.Error("go-plugin's own trouble")
	log.Named("mine").Warn("from the\nplugin", "key", "value", "odd")
	log.Named("mine").Debug("chatter")
	got := text.String()
	if strings.Contains(got, "trouble") || strings.Contains(got, "chatter") || !strings.Contains(got, `level=WARN msg="from the plugin" strategy=mine from=plugin key=value`) {
		t.Errorf("%s", got)
	}
}
