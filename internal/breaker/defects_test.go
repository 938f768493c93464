package breaker

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sony/gobreaker/v2"
)

// The four defects of gobreaker that this package exists for. Each test runs the same scenario on
// plain gobreaker, as a control that must show the defect, and on the wrapper, which must not. When a
// control fails, gobreaker was mended and the wrapper may shrink.

var errNode = errors.New("node failed")

func plain(s gobreaker.Settings) *gobreaker.TwoStepCircuitBreaker[struct{}] {
	return gobreaker.NewTwoStepCircuitBreaker[struct{}](s)
}

func mustNew(t testing.TB, c Config) *Breaker {
	t.Helper()
	b, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// fail reports n failed calls to b and returns how many it let through.
func fail(b *Breaker, n int) (allowed int) {
	for range n {
		if done, err := b.Allow(); err == nil {
			allowed++
			done(Failure)
		}
	}
	return allowed
}

func TestProbeThatNeverReports(t *testing.T) {
	t.Run("control", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			cb := plain(gobreaker.Settings{Timeout: time.Second})
			for range 6 {
				done, err := cb.Allow()
				if err != nil {
					t.Fatal(err)
				}
				done(errNode)
			}
			time.Sleep(2 * time.Second)
			if _, err := cb.Allow(); err != nil { // the probe, never heard of again
				t.Fatal(err)
			}
			time.Sleep(24 * time.Hour)
			if _, err := cb.Allow(); !errors.Is(err, gobreaker.ErrTooManyRequests) {
				t.Fatalf("a day later Allow returns %v: the defect is gone", err)
			}
		})
	})
	t.Run("wrapped", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := mustNew(t, Config{OpenFor: time.Second, ProbeDeadline: 3 * time.Second})
			fail(b, 5)
			time.Sleep(2 * time.Second)
			slow, err := b.Allow()
			if err != nil {
				t.Fatal("no probe after OpenFor")
			}
			time.Sleep(3*time.Second - 1)
			if _, err := b.Allow(); !errors.Is(err, ErrOpen) {
				t.Fatalf("second probe before the deadline: %v", err)
			}
			time.Sleep(1)
			second, err := b.Allow()
			if err != nil {
				t.Fatalf("no second probe at the deadline: %v", err)
			}
			if _, err := b.Allow(); !errors.Is(err, ErrOpen) {
				t.Fatalf("third probe at once: %v", err)
			}
			slow(Ignored) // frees nothing: its place was given away already
			if _, err := b.Allow(); !errors.Is(err, ErrOpen) {
				t.Fatalf("an overdue probe freed its place twice: %v", err)
			}
			second(Success)
			if got := b.State(); got != "closed" {
				t.Fatalf("state %s after a good probe", got)
			}
		})
	})
}

// An overdue probe is a slow call, not a failed one: what it reports in the end still counts.
func TestOverdueProbeStillCounts(t *testing.T) {
	for _, tc := range []struct {
		outcome Outcome
		want    string
	}{{Success, "closed"}, {Failure, "open"}, {Ignored, "half_open"}} {
		synctest.Test(t, func(t *testing.T) {
			b := mustNew(t, Config{})
			fail(b, 5)
			time.Sleep(1100 * time.Millisecond)
			slow, err := b.Allow()
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			if _, err := b.Allow(); err != nil {
				t.Fatal(err)
			}
			slow(tc.outcome)
			if got := b.State(); got != tc.want {
				t.Errorf("overdue probe reported %d: state %s, want %s", tc.outcome, got, tc.want)
			}
		})
	}
}

func TestCallsLongerThanTheWindow(t *testing.T) {
	const window, call = 10 * time.Second, 25 * time.Second
	for _, bucket := range []time.Duration{0, time.Second} { // gobreaker's fixed and rolling windows
		t.Run("control bucket "+bucket.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cb := plain(gobreaker.Settings{Interval: window, BucketPeriod: bucket})
				var done []func(error)
				for range 100 {
					d, err := cb.Allow()
					if err != nil {
						t.Fatal(err)
					}
					done = append(done, d)
				}
				time.Sleep(call)
				for _, d := range done {
					d(errNode)
				}
				if n := cb.Counts().TotalFailures; n != 0 || cb.State() != gobreaker.StateClosed {
					t.Fatalf("%d of 100 long failures counted, state %v: the defect is gone", n, cb.State())
				}
			})
		})
	}
	t.Run("wrapped", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := mustNew(t, Config{Window: window})
			var done []func(Outcome)
			for range 100 {
				d, err := b.Allow()
				if err != nil {
					t.Fatal(err)
				}
				done = append(done, d)
			}
			time.Sleep(call)
			for i, d := range done {
				if i == 4 && b.State() != "closed" {
					t.Fatal("open after 4 failures")
				}
				d(Failure)
			}
			if got := b.State(); got != "open" {
				t.Fatalf("state %s after 100 long failures", got)
			}
		})
	})
}

func TestStateInsideOnChange(t *testing.T) {
	// stuck reports whether state does not return while its caller runs. It leaves nothing blocked
	// behind: state returns once the caller has.
	stuck := func(state func()) bool {
		returned := make(chan struct{})
		go func() { state(); close(returned) }()
		select {
		case <-returned:
			return false
		case <-time.After(100 * time.Millisecond):
			return true
		}
	}
	t.Run("control", func(t *testing.T) {
		var cb *gobreaker.TwoStepCircuitBreaker[struct{}]
		blocked := false
		cb = plain(gobreaker.Settings{OnStateChange: func(string, gobreaker.State, gobreaker.State) {
			blocked = stuck(func() { cb.State() })
		}})
		for range 6 {
			done, err := cb.Allow()
			if err != nil {
				t.Fatal(err)
			}
			done(errNode)
		}
		if !blocked {
			t.Fatal("State returned inside OnStateChange: the defect is gone")
		}
	})
	t.Run("wrapped", func(t *testing.T) {
		got := make(chan bool, 1)
		var b *Breaker
		b = mustNew(t, Config{OnChange: func(_, to string) {
			got <- to == "open" && b.State() == "open" && !stuck(func() { b.Allow() })
		}})
		fail(b, 5)
		if !<-got {
			t.Fatal("the breaker could not be used inside OnChange")
		}
	})
}

func TestHalfOfTheCallsFail(t *testing.T) {
	t.Run("control", func(t *testing.T) {
		cb := plain(gobreaker.Settings{})
		for i := range 100_000 {
			done, err := cb.Allow()
			if err != nil {
				t.Fatalf("opened after %d calls: the defect is gone", i)
			}
			if i%2 == 0 {
				done(errNode)
			} else {
				done(nil)
			}
		}
	})
	t.Run("wrapped", func(t *testing.T) {
		b := mustNew(t, Config{})
		for i := range 100 {
			done, err := b.Allow()
			if err != nil {
				if i < 20 {
					t.Fatalf("opened after %d calls, below the volume of 20", i)
				}
				return
			}
			if i%2 == 0 {
				done(Failure)
			} else {
				done(Success)
			}
		}
		t.Fatal("100 calls, half of them failed, and it is closed")
	})
}
