package verify

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/quorate/quorate/regions"
)

func TestPace(t *testing.T) {
	down := Health{State: regions.Unhealthy, Failures: 3}
	ms := func(n ...int) (d []time.Duration) {
		for _, v := range n {
			d = append(d, time.Duration(v)*time.Millisecond)
		}
		return d
	}
	tests := []struct {
		name     string
		interval time.Duration
		after    []Health
		want     []time.Duration
	}{
		{"healthy", 5 * time.Second, []Health{{State: regions.Healthy}, {State: regions.Healthy}}, ms(5000, 5000)},
		{"degraded keeps the interval", 5 * time.Second, []Health{{State: regions.Degraded, Failures: 1}}, ms(5000)},
		{"down backs off to the interval", time.Second, []Health{down, down, down, down, down, down, down}, ms(50, 100, 200, 400, 800, 1000, 1000)},
		{"never seen backs off too", time.Second, []Health{{Failures: 1}, {Failures: 2}}, ms(50, 100)},
		{"coming up is quick", 5 * time.Second, []Health{down, down, {State: regions.Unhealthy, Successes: 1}, {State: regions.Healthy}}, ms(50, 100, 100, 5000)},
		{"falling again begins anew", 5 * time.Second, []Health{down, down, down, {State: regions.Unhealthy, Successes: 1}, down}, ms(50, 100, 200, 100, 50)},
		{"no longer than the interval", 100 * time.Millisecond, []Health{down, down, {State: regions.Unhealthy, Successes: 1}}, ms(50, 100, 100)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var p pace
			var got []time.Duration
			for _, h := range tt.after {
				var wait time.Duration
				wait, p = p.next(h, tt.interval)
				got = append(got, wait)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestJitterStaysWithinTenPercent(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	low, high := time.Hour, time.Duration(0)
	for range 10_000 {
		d := jittered(time.Second, r.Float64())
		low, high = min(low, d), max(high, d)
	}
	if low < 900*time.Millisecond || high > 1100*time.Millisecond {
		t.Errorf("range %v..%v leaves 0.9s..1.1s", low, high)
	}
	if low > 910*time.Millisecond || high < 1090*time.Millisecond {
		t.Errorf("range %v..%v does not use 0.9s..1.1s", low, high)
	}
}
