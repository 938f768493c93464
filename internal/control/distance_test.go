package control

import (
	"testing"
	"time"

	"github.com/quorate/quorate/internal/authority"
)

const ms = time.Millisecond

// A promise grows with a distance that lasts, not with one that a busy moment made.
func TestDistances(t *testing.T) {
	d := &distances{}
	for range measured - 1 {
		d.add(ms)
	}
	if _, ok := d.median(); ok {
		t.Error("too few are enough")
	}
	for range measured / 2 {
		d.add(3 * time.Second)
	}
	if got, ok := d.median(); !ok || got != ms {
		t.Errorf("%s, %v", got, ok)
	}
	for range 2 {
		d.add(3 * time.Second)
	}
	if got, _ := d.median(); got != 3*time.Second {
		t.Errorf("%s", got)
	}
}

// The promise bears the distance, stays within bounds, and tells the distance to who starts again.
func TestPromise(t *testing.T) {
	n := &Node{cfg: Config{Interval: 200 * ms}}
	for _, tc := range []struct{ now, far, want, implied time.Duration }{
		{800 * ms, ms, 800 * ms, 0},
		{800 * ms, 100 * ms, 1500 * ms, 100 * ms},
		{1500 * ms, 110 * ms, 1500 * ms, 100 * ms},
		{1500 * ms, ms, 1500 * ms, 100 * ms},
		{2500 * ms, ms, 1000 * ms, 0},
		{authority.MostPromise, time.Hour, authority.MostPromise, 11800 * ms},
	} {
		got := n.promise(tc.now, tc.far)
		if got != tc.want || n.implied(got) != tc.implied || n.promise(got, tc.far) != got {
			t.Errorf("%s at %s: %s, which implies %s, and then %s", tc.now, tc.far, got, n.implied(got), n.promise(got, tc.far))
		}
	}
}

// Raft's timeouts are valid for its tenure, settle, and let a leader's heartbeats come in time.
func TestTimeouts(t *testing.T) {
	for _, started := range []time.Duration{0, 20 * ms, 100 * ms, 400 * ms} {
		for _, far := range []time.Duration{0, ms, 60 * ms, 100 * ms, 500 * ms, 5 * time.Second} {
			got := timeouts(far, tenure(started))
			if got < tenure(started) || got/5+got/10 > tenure(started) {
				t.Errorf("started at %s, %s now: %s with a tenure of %s", started, far, got, tenure(started))
			}
			if far > 10*ms && far <= started && got < 10*far {
				t.Errorf("started at %s, %s now: %s is less than ten round trips", started, far, got)
			}
		}
	}
}
