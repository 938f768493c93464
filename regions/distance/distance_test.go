package distance

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/quorate/quorate/regions"
)

const ms = time.Millisecond

// pace is the time between two samples, as links ping.
const pace = 250 * ms

// feed gives n samples and returns how often the class changed.
func feed(e *Estimator, now *time.Time, n int, rtt func(i int) time.Duration) (changes int) {
	for i := range n {
		*now = now.Add(pace)
		if e.Observe(rtt(i), *now) {
			changes++
		}
	}
	return changes
}

func always(d time.Duration) func(int) time.Duration { return func(int) time.Duration { return d } }

func estimator(t testing.TB, c Config) *Estimator {
	t.Helper()
	e, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestSeedCountsUntilMeasured(t *testing.T) {
	e, now := estimator(t, Config{Seed: 80 * ms}), time.Unix(0, 0)
	if e.RTT() != 80*ms || e.Class() != regions.Slow || e.Measured() {
		t.Fatalf("%s %s", e.RTT(), e.Class())
	}
	feed(e, &now, enough-1, always(8*ms))
	if e.RTT() != 80*ms || e.Measured() {
		t.Errorf("after %d samples: %s", enough-1, e.RTT())
	}
	feed(e, &now, 1, always(8*ms))
	if e.RTT() != 8*ms || !e.Measured() || e.Class() != regions.Slow {
		t.Errorf("measured: %s %s; the class waits for its dwell", e.RTT(), e.Class())
	}
	if n := feed(e, &now, 20, always(8*ms)); n != 1 || e.Class() != regions.Fast {
		t.Errorf("%d changes, %s", n, e.Class())
	}
}

// A region that is slowed down changes class within seconds, straight to where it belongs.
func TestSlowedDownRegion(t *testing.T) {
	e, now := estimator(t, Config{}), time.Unix(0, 0)
	feed(e, &now, 40, always(8*ms))
	began := now
	for e.Class() != regions.Beyond && now.Sub(began) < time.Minute {
		feed(e, &now, 1, always(200*ms))
	}
	if took := now.Sub(began); took > 8*time.Second {
		t.Errorf("took %s", took)
	}
	if n := feed(e, &now, 100, always(8*ms)); e.Class() != regions.Fast || n > 3 {
		t.Errorf("back in %s by %d changes", e.Class(), n)
	}
}

// Jitter at a bound makes no flap. The control: without hysteresis and dwell it does.
func TestJitterAtABound(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	jitter := func(c Config) int {
		r := rand.New(rand.NewPCG(seed, 1))
		e, now := estimator(t, c), time.Unix(0, 0)
		return feed(e, &now, 10_000, func(int) time.Duration { return 9500*time.Microsecond + time.Duration(r.Int64N(int64(ms))) })
	}
	with, without := jitter(Config{}), jitter(Config{Hysteresis: -1, Dwell: -1})
	t.Logf("changes of class in 10000 samples of 9.5..10.5 ms: %d; without hysteresis: %d", with, without)
	if with > 1 || without < 10 {
		t.Error("flaps, or the test shows nothing")
	}
}

// Single samples, however odd, move nothing.
func TestOddSamples(t *testing.T) {
	e, now := estimator(t, Config{}), time.Unix(0, 0)
	feed(e, &now, 50, always(8*ms))
	for _, odd := range []time.Duration{0, -time.Second, time.Hour, maxSample + 1} {
		e.Observe(odd, now)
	}
	if e.RTT() != 8*ms {
		t.Errorf("absurd samples made it %s", e.RTT())
	}
	if n := feed(e, &now, 300, func(i int) time.Duration {
		if i%3 == 0 {
			return 900 * ms
		}
		return 8 * ms
	}); n != 0 || e.RTT() > 9*ms {
		t.Errorf("%d changes, %s", n, e.RTT())
	}
}

func TestConfigIsChecked(t *testing.T) {
	for _, c := range []Config{
		{Seed: -1}, {Window: -1}, {Window: 100}, {Alpha: 2}, {Alpha: -1}, {Hysteresis: 2},
		{Bounds: regions.Bounds{3, 2, 1}},
	} {
		if _, err := New(c); !errors.Is(err, ErrConfig) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestObserveAllocatesNothing(t *testing.T) {
	e, now := estimator(t, Config{}), time.Unix(0, 0)
	if n := testing.AllocsPerRun(100, func() { now = now.Add(pace); e.Observe(8*ms, now) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
