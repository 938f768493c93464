package breaker

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTrips(t *testing.T) {
	const every = 100 * time.Millisecond
	repeat := func(s string, n int) (out string) {
		for range n {
			out += s
		}
		return out
	}
	for _, tc := range []struct {
		name  string
		cfg   Config
		calls string // . success, x failure, i ignored
		every time.Duration
		want  string
	}{
		{"healthy", Config{}, repeat(".", 200), every, "closed"},
		{"four in a row", Config{}, "xxxx.xxxx.", every, "closed"},
		{"five in a row", Config{}, "xxxxx", every, "open"},
		{"five in a row, a minute apart", Config{}, "xxxxx", time.Minute, "open"},
		{"ignored calls do not break a row", Config{}, "xxixixx", every, "open"},
		{"ignored calls are no failures", Config{}, repeat("i", 200), every, "closed"},
		{"half of twenty", Config{}, repeat(".x", 10), every, "open"},
		{"half of nineteen", Config{}, repeat("x.", 9) + ".", every, "closed"},
		{"a third", Config{}, repeat("..x", 60), every, "closed"},
		{"half, too thin for the window", Config{}, repeat("x.", 60), time.Second, "closed"},
		{"ignored calls add no volume", Config{}, repeat("x.ii", 9), every, "closed"},
		{"own ratio", Config{Ratio: 0.3}, repeat("..x", 7), every, "open"},
		{"own volume", Config{Volume: 4}, ".x.x", every, "open"},
		{"own row", Config{Consecutive: 2}, "xx", every, "open"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := mustNew(t, tc.cfg)
				for i, c := range tc.calls {
					done, err := b.Allow()
					if err != nil {
						t.Fatalf("call %d: %v", i, err)
					}
					done(map[rune]Outcome{'.': Success, 'x': Failure, 'i': Ignored}[c])
					if i < len(tc.calls)-1 {
						time.Sleep(tc.every)
					}
				}
				if got := b.State(); got != tc.want {
					t.Errorf("state %s, want %s", got, tc.want)
				}
			})
		})
	}
}

func TestRecovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var changes []string
		b := mustNew(t, Config{OpenFor: 2 * time.Second, Probes: 2, OnChange: func(from, to string) {
			changes = append(changes, from+" "+to)
		}})
		if n := fail(b, 10); n != 5 {
			t.Fatalf("%d calls let through, want 5", n)
		}
		time.Sleep(2*time.Second + 1)
		if got := b.State(); got != "half_open" {
			t.Fatalf("state %s after OpenFor", got)
		}
		one, err1 := b.Allow()
		two, err2 := b.Allow()
		_, err3 := b.Allow()
		if err1 != nil || err2 != nil || !errors.Is(err3, ErrOpen) {
			t.Fatalf("two probes: %v, %v, %v", err1, err2, err3)
		}
		one(Success)
		if got := b.State(); got != "half_open" {
			t.Fatalf("state %s after one of two", got)
		}
		two(Failure)
		if got := b.State(); got != "open" {
			t.Fatalf("state %s after a failed probe", got)
		}
		time.Sleep(2*time.Second + 1)
		for range 2 {
			done, err := b.Allow()
			if err != nil {
				t.Fatal(err)
			}
			done(Success)
		}
		if got := b.State(); got != "closed" {
			t.Fatalf("state %s after two good probes", got)
		}
		synctest.Wait()
		want := []string{"closed open", "open half_open", "half_open open", "open half_open", "half_open closed"}
		if d := cmp.Diff(want, changes); d != "" {
			t.Error(d)
		}
	})
}

// Calls from before a trip must decide nothing after it.
func TestStragglers(t *testing.T) {
	for _, o := range []Outcome{Success, Failure} {
		synctest.Test(t, func(t *testing.T) {
			b := mustNew(t, Config{})
			var old []func(Outcome)
			for range 10 {
				done, err := b.Allow()
				if err != nil {
					t.Fatal(err)
				}
				old = append(old, done)
			}
			fail(b, 5)
			old[0](o)
			if got := b.State(); got != "open" {
				t.Fatalf("open: straggler's %d made it %s", o, got)
			}
			time.Sleep(1100 * time.Millisecond)
			old[1](o) // must not take the probe's place
			probe, err := b.Allow()
			if err != nil {
				t.Fatal(err)
			}
			old[2](o)
			if got := b.State(); got != "half_open" {
				t.Fatalf("half open: straggler's %d made it %s", o, got)
			}
			probe(Success)
			for _, done := range old[3:] {
				done(o)
			}
			fail(b, 1) // with the stragglers' failures it would be one too many
			if got := b.State(); got != "closed" {
				t.Fatalf("closed again: stragglers' %d made it %s", o, got)
			}
		})
	}
}

// A slow OnChange holds up nobody, and its queue stays bounded with the newest change in it.
func TestSlowOnChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate, last := make(chan struct{}), ""
		n := notifier{fn: func(_, to string) { <-gate; last = to }}
		for i := range 10 * maxPending {
			n.add("", string(rune('a'+i%26)))
		}
		n.mu.Lock()
		waiting := len(n.pending)
		n.mu.Unlock()
		if waiting > maxPending {
			t.Fatalf("%d changes wait", waiting)
		}
		close(gate)
		synctest.Wait()
		if want := string(rune('a' + (10*maxPending-1)%26)); last != want {
			t.Fatalf("last change delivered %q, want %q", last, want)
		}
	})
}

// Under concurrency the breaker must neither race nor stick: whatever happened, it closes again.
func TestConcurrent(t *testing.T) {
	b := mustNew(t, Config{OpenFor: time.Millisecond, ProbeDeadline: time.Millisecond})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 3000 {
				if done, err := b.Allow(); err == nil {
					done(Outcome((i + w) / 7 % 3))
				}
				b.State()
			}
		})
	}
	wg.Wait()
	deadline := time.Now().Add(10 * time.Second)
	for b.State() != "closed" && time.Now().Before(deadline) {
		if done, err := b.Allow(); err == nil {
			done(Success)
		}
	}
	if got := b.State(); got != "closed" {
		t.Fatalf("state %s", got)
	}
}

func TestConfig(t *testing.T) {
	for _, bad := range []Config{
		{Window: -1}, {Window: 2 * time.Hour}, {Ratio: -0.1}, {Ratio: 1.1}, {Volume: -1}, {Consecutive: -1},
		{OpenFor: -1}, {Probes: -1}, {Probes: 101}, {ProbeDeadline: -1},
	} {
		if _, err := New(bad); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
	if got := mustNew(t, Config{}).State(); got != "closed" {
		t.Errorf("a new breaker is %s", got)
	}
}

func BenchmarkHealthy(b *testing.B) {
	br := mustNew(b, Config{})
	b.ReportAllocs()
	for b.Loop() {
		done, _ := br.Allow()
		done(Success)
	}
}

func BenchmarkHealthyParallel(b *testing.B) {
	br := mustNew(b, Config{})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			done, _ := br.Allow()
			done(Success)
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	br := mustNew(b, Config{OpenFor: time.Hour})
	fail(br, 5)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := br.Allow(); err == nil {
			b.Fatal("let through")
		}
	}
}
