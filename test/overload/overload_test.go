package overload

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/quorate/quorate/internal/gatewayproc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// timed says that the bars on times are judged: by the command for it, on a quiet machine.
func timed() bool { return os.Getenv("JUDGE_TIMES") != "" }

func binary(t *testing.T) string {
	t.Helper()
	b, err := gatewayproc.Build(t.Context(), t.TempDir(), gatewayproc.Package)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const (
	// fastBound is what the configuration calls fast: how much longer than its work a fast call may take, at p99.
	// A call's work is the same with and without a gateway; what the bound is about is everything around it, the
	// wait for a worker included.
	fastBound = 100 * time.Millisecond
	classes   = "classes: {fast: 100ms, medium: 200ms, slow: 400ms}\n"
	routes    = "    routes:\n      - {match: {tool: fast}, class: fast}\n      - {match: {tool: slow}, class: slow}\n"

	fastRate = 0.3 * capacity // of fast calls, in all phases but the warm-up and the recovery: they alone would fit
	step     = 500 * time.Millisecond
	// recoveryBar is how long after the overload everything has to be normal again.
	recoveryBar = 10 * time.Second
)

// trial is what one configuration did.
type trial struct {
	name              string
	peak, goodput     float64 // answers of use per second, at capacity and at three times as much
	fast, slow        Samples // of the overload
	limit             int     // at its end
	recovered         time.Duration
	recoveredInTime   bool
	calls, overloaded int
}

func (r *trial) ratio() float64 { return r.goodput / r.peak }

func (r *trial) String() string {
	return fmt.Sprintf("overload %-16s N=%d (%d of them at 3x): goodput %.0f/s = %.2f of the peak of %.0f/s; fast p99 +%dms (bound %dms), shed %.1f %%; slow shed %.1f %%; limit %d; normal after %s",
		r.name, r.calls, r.overloaded, r.goodput, r.ratio(), r.peak, r.fast.Added(0.99).Milliseconds(), fastBound.Milliseconds(),
		100*r.fast.Share(Shed), 100*r.slow.Share(Shed), r.limit, r.recovered)
}

// try runs the load against one configuration: warm up, capacity, three times capacity, half of it.
func try(t *testing.T, binary, name, limits string, seed uint64) *trial {
	t.Helper()
	const atPeak, tooMuch = 3 * time.Second, 7 * time.Second
	w := Start(t, binary, classes, limits+routes)
	l := newLoad(w.Gateway.URL(), seed)
	defer l.Wait()
	l.Run(t.Context(), time.Second, fastRate/2, capacity/2-fastRate/2)
	peak := l.Run(t.Context(), atPeak, fastRate, capacity-fastRate)
	over := l.Run(t.Context(), tooMuch, fastRate, 3*capacity-fastRate)
	r := &trial{name: name, limit: w.Limit(t.Context())}
	r.recovered, r.recoveredInTime = recovery(t, l)
	l.Wait()
	all := l.Of(over, "")
	r.peak = float64(l.Of(peak, "").Good()) / atPeak.Seconds()
	r.goodput = float64(all.Good()) / tooMuch.Seconds()
	r.fast, r.slow = l.Of(over, Fast), l.Of(over, Slow)
	r.calls, r.overloaded = len(l.samples), len(all)
	return r
}

// recovery goes on with half of what the pool can do until nothing is shed and calls take what they should, and
// returns when that began. A step is judged when its agents must have been answered or gone.
func recovery(t *testing.T, l *Load) (time.Duration, bool) {
	const late = int(patience / step)
	for first := l.phases; l.phases-first < int(recoveryBar/step)+2+late; {
		last := l.Run(t.Context(), step, fastRate/2, capacity/2-fastRate/2)
		if judged := last - late; judged >= first && normal(l.Of(judged, "")) {
			return time.Duration(judged-first) * step, true
		}
	}
	return recoveryBar + step, false
}

func normal(s Samples) bool {
	return len(s) > 0 && s.Share(Answered) == 1 && s.Added(0.95) <= fastBound
}

// At three times what its pool can do, a region does what it could at its peak, fast calls stay fast while slow ones
// are shed, and soon after everything is as before. Control: without a learned limit the queue eats it all.
func TestOverload(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("overload seed %d", seed)
	b := binary(t)
	var on, off *trial
	t.Run("adaptive", func(t *testing.T) { on = try(t, b, "adaptive", "", seed) })
	t.Run("control", func(t *testing.T) { off = try(t, b, "control: fixed", "    limits: {adaptive: false}\n", seed) })
	if t.Failed() {
		return
	}
	t.Log(on)
	t.Log(off)
	if slow, fast := on.slow.Share(Shed), on.fast.Share(Shed); slow < 0.3 || fast > 0.05 {
		t.Errorf("slow shed %.2f, fast shed %.2f; want at least 0.3 and at most 0.05", slow, fast)
	}
	if n := on.fast.Share(Refused); n > 0 {
		t.Errorf("%.2f of the fast calls got another error than overload", n)
	}
	if off.ratio() > 0.7 || off.fast.Added(0.99) < 2*fastBound {
		t.Error("the control meets the bar: this load is no overload")
	}
	if timed() {
		judge(t, on)
	}
}

func judge(t *testing.T, r *trial) {
	t.Helper()
	if r.ratio() < 0.9 {
		t.Errorf("goodput is %.2f of the peak, want 0.90", r.ratio())
	}
	if p := r.fast.Added(0.99); p > fastBound {
		t.Errorf("p99 of fast calls is their work and %s, more than %s", p, fastBound)
	}
	if !r.recoveredInTime || r.recovered > recoveryBar {
		t.Errorf("not normal %s after the overload", recoveryBar)
	}
}
