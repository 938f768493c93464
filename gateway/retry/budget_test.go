package retry

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var start = time.Unix(1_800_000_000, 0)

func newBudget(t testing.TB, ratio float64, min int) *Budget {
	t.Helper()
	b, err := NewBudget(ratio, min)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A full brown-out: every attempt of every call is answered with 503, and each may be tried 3 times.
func TestBrownOut(t *testing.T) {
	for _, concurrency := range []int{1, 8, 32, 200, 1000} {
		b := newBudget(t, 0.2, 3)
		const calls = 1000
		attempts := 0
		for begun := 0; begun < calls; begun += concurrency {
			n := min(concurrency, calls-begun)
			for range n {
				b.Begin()
			}
			for range n {
				attempts++
				for try := 1; try < 3 && b.Take(start, false); try++ {
					attempts++
				}
				b.End()
			}
		}
		if most := calls*12/10 + 3; attempts > most {
			t.Errorf("%d at once: %d attempts for %d calls, at most %d", concurrency, attempts, calls, most)
		}
		if least := calls * 11 / 10; concurrency <= 200 && attempts < least {
			t.Errorf("%d at once: %d attempts, the budget is not used", concurrency, attempts)
		}
	}
}

// The same with time passing and real concurrency: Min per second comes on top, no more.
func TestBrownOutConcurrent(t *testing.T) {
	b := newBudget(t, 0.2, 3)
	var attempts atomic.Int64
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 1000 {
				now := start.Add(time.Duration(i) * time.Millisecond) // one second in all
				b.Begin()
				attempts.Add(1)
				for try := 1; try < 3 && b.Take(now, (i+w)%2 == 0); try++ {
					attempts.Add(1)
				}
				b.End()
			}
		})
	}
	wg.Wait()
	if most := int64(8000*12/10 + 3 + 3 + 8); attempts.Load() > most { // 8: the debt, one per active call
		t.Errorf("%d attempts, at most %d", attempts.Load(), most)
	}
	if b.Active() != 0 {
		t.Errorf("%d active at the end", b.Active())
	}
}

// A node dies with a third of the calls: all of them may move, also on a service that was idle before.
func TestNodeDies(t *testing.T) {
	b := newBudget(t, 0.2, 3)
	for range 32 {
		b.Begin()
	}
	taken := 0
	for range 100 {
		if b.Take(start, true) {
			taken++
		}
	}
	if taken < 32 || taken > 32+3+7 {
		t.Errorf("%d calls of 32 could move", taken)
	}
	if b.Take(start, false) {
		t.Error("an answered 503 is retried while the service is in debt")
	}
	// The debt is paid by 5 calls each, then the normal rate holds again.
	for range 32 {
		b.End()
	}
	for range 32 * 5 {
		b.Begin()
		b.End()
	}
	ok := 0
	for range 1000 {
		b.Begin()
		if b.Take(start, false) {
			ok++
		}
		b.End()
	}
	if ok < 195 || ok > 205 {
		t.Errorf("%d retries of 1000 calls after the debt", ok)
	}
}

// A long healthy time saves up no more than a fifth of the active calls, or Min.
func TestReserve(t *testing.T) {
	for active, most := range map[int]int{1: 3, 15: 3, 100: 20} {
		b := newBudget(t, 0.2, 3)
		for range active {
			b.Begin()
		}
		for range 100_000 {
			b.Begin()
			b.End()
		}
		taken := 0
		for b.Take(start, false) {
			taken++
		}
		if taken != most {
			t.Errorf("%d active: %d retries at once, want %d", active, taken, most)
		}
	}
}

// A quiet service, one call a minute, can always retry.
func TestQuiet(t *testing.T) {
	b := newBudget(t, 0.2, 3)
	for i := range 100 {
		b.Begin()
		for range 2 {
			if !b.Take(start.Add(time.Duration(i)*time.Minute), false) {
				t.Fatalf("call %d has no retry", i)
			}
		}
		b.End()
	}
}

func TestBudgetOff(t *testing.T) {
	b := newBudget(t, 0, 0)
	b.Begin()
	if b.Take(start, true) || b.Take(start.Add(time.Hour), false) {
		t.Error("a retry was taken from no budget")
	}
}

func TestBudgetConfig(t *testing.T) {
	for _, bad := range []struct {
		ratio float64
		min   int
	}{{-0.1, 3}, {1.1, 3}, {0.2, -1}, {0.2, 1001}} {
		if _, err := NewBudget(bad.ratio, bad.min); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

func BenchmarkCall(b *testing.B) {
	budget := newBudget(b, 0.2, 3)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			budget.Begin()
			budget.End()
		}
	})
}

func BenchmarkDecide(b *testing.B) {
	in := In{Class: 2, Progress: upstreamSent, Failure: 2, Attempt: 1, MaxAttempts: 3, Candidates: true}
	b.ReportAllocs()
	for b.Loop() {
		if !in.WantsBudget() {
			b.Fatal("no")
		}
	}
}

const upstreamSent = 1
