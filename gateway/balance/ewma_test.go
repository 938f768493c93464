package balance

import (
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var t0 = time.UnixMilli(1_800_000_000_000)

func TestEWMA(t *testing.T) {
	const ms = time.Millisecond
	type step struct {
		at     time.Duration
		sample time.Duration // 0: only look
		want   time.Duration
	}
	for _, tc := range []struct {
		name  string
		steps []step
	}{
		{"nothing known", []step{{0, 0, 0}, {time.Hour, 0, 0}}},
		{"the first sample counts whole", []step{{0, 7 * ms, 7 * ms}}},
		{"a peak counts at once", []step{{0, ms, ms}, {0, 90 * ms, 90 * ms}}},
		{"no time, no way down", []step{{0, 90 * ms, 90 * ms}, {0, ms, 90 * ms}}},
		{"down as time passes", []step{{0, 100 * ms, 100 * ms}, {10 * time.Second, 10 * ms, 43109 * time.Microsecond}}},
		{"fades when idle", []step{{0, 100 * ms, 100 * ms}, {10 * time.Second, 0, 36788 * time.Microsecond}, {10 * time.Minute, 0, 0}}},
		{"a clock slightly behind", []step{{time.Second, 100 * ms, 100 * ms}, {990 * ms, ms, 100 * ms}}},
		{"idle for a month", []step{{0, 100 * ms, 100 * ms}, {31 * 24 * time.Hour, 2 * ms, 2 * ms}}},
		{"a negative sample", []step{{0, -ms, 1}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var e EWMA
			for i, s := range tc.steps {
				now := t0.Add(s.at)
				if s.sample != 0 {
					e.Observe(now, s.sample)
				}
				got := e.Value(now)
				if diff := got - s.want; diff < -s.want/1000 || diff > s.want/1000 {
					t.Errorf("step %d: %v, want %v", i, got, s.want)
				}
			}
			e.Reset()
			if got := e.Value(t0); got != 0 {
				t.Errorf("%v after Reset", got)
			}
		})
	}
}

// At a thousand samples per millisecond the estimate must still come down.
func TestEWMAUnderLoad(t *testing.T) {
	var e EWMA
	e.Observe(t0, time.Second)
	now := t0
	for range 100_000 {
		now = now.Add(200 * time.Microsecond)
		e.Observe(now, time.Millisecond)
	}
	if got := e.Value(now); got > 200*time.Millisecond {
		t.Errorf("%v after 20 s of 1 ms", got)
	}
}

func TestEWMAConcurrent(t *testing.T) {
	var e EWMA
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 10_000 {
				now := t0.Add(time.Duration(i) * time.Millisecond)
				e.Observe(now, time.Duration(w+1)*time.Millisecond)
				if v := e.Value(now); v < 0 || v > 8*time.Millisecond {
					t.Errorf("%v from samples of 1 to 8 ms", v)
					return
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkObserve(b *testing.B) {
	var e EWMA
	now := t0
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(300 * time.Microsecond)
		e.Observe(now, time.Millisecond)
	}
}

func BenchmarkValue(b *testing.B) {
	var e EWMA
	e.Observe(t0, time.Millisecond)
	now := t0.Add(3 * time.Millisecond)
	b.ReportAllocs()
	for b.Loop() {
		e.Value(now)
	}
}
