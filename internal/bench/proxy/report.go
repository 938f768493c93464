package proxy

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
)

// key is one system under one kind of load.
type key struct {
	system string
	kind   Kind
}

// summary is what the rounds of a key come to.
type summary struct {
	rate, p50, p99, cpu float64 // medians; µs except the rate
	spread              float64 // largest over smallest round, of the rate or of the processor time
}

func summarize(samples []Sample) map[key]summary {
	rounds := map[key][]Sample{}
	for _, s := range samples {
		k := key{s.System, s.Kind}
		rounds[k] = append(rounds[k], s)
	}
	sums := map[key]summary{}
	for k, all := range rounds {
		rate := sorted(all, Sample.PerSecond)
		cost := sorted(all, Sample.PerRequest)
		sums[k] = summary{
			rate: median(rate), cpu: median(cost),
			p50:    median(sorted(all, func(s Sample) float64 { return micro(s.P50()) })),
			p99:    median(sorted(all, func(s Sample) float64 { return micro(s.P99()) })),
			spread: max(spread(rate), spread(cost)),
		}
	}
	return sums
}

func sorted(all []Sample, of func(Sample) float64) []float64 {
	var values []float64
	for _, s := range all {
		values = append(values, of(s))
	}
	slices.SortFunc(values, cmp.Compare[float64])
	return values
}

func median(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func spread(sorted []float64) float64 { return sorted[len(sorted)-1] / sorted[0] }

// report prints medians, ratios and, as the last line, what is judged; then it judges.
func report(out io.Writer, samples []Sample) error {
	sums := summarize(samples)
	fmt.Fprintf(out, "\nmedians%17s %10s %9s %9s %12s %8s\n", "", "req/s", "p50 µs", "p99 µs", "cpu µs/req", "spread")
	for _, k := range Kinds {
		for _, name := range []string{HAProxy, ReverseProxy, Quorate} {
			s := sums[key{name, k}]
			fmt.Fprintf(out, "%-12s %-11s %10.0f %9.0f %9.0f %12.1f %7.0f%%\n", name, k, s.rate, s.p50, s.p99, s.cpu, 100*(s.spread-1))
		}
	}
	fmt.Fprintln(out)
	fmt.Fprintln(out, "sse_"+verdict(sums, SSE))
	fmt.Fprintln(out, verdict(sums, JSON))
	return judge(sums)
}

func verdict(sums map[key]summary, k Kind) string {
	q, rp, ha := sums[key{Quorate, k}].cpu, sums[key{ReverseProxy, k}].cpu, sums[key{HAProxy, k}].cpu
	return fmt.Sprintf("cpu_us_per_request quorate=%.1f reverseproxy=%.1f haproxy=%.1f ratio_reverseproxy=%.3f ratio_haproxy=%.3f",
		q, rp, ha, q/rp, q/ha)
}

// judge holds both kinds to the bar. A run whose rounds do not agree is not judged.
func judge(sums map[key]summary) error {
	for k, s := range sums {
		if s.spread > MaxSpread {
			return fmt.Errorf("%w: %s, %s: %.0f %%", ErrInvalid, k.system, k.kind, 100*(s.spread-1))
		}
	}
	var errs []error
	for _, k := range Kinds {
		if ratio := sums[key{Quorate, k}].cpu / sums[key{ReverseProxy, k}].cpu; !(ratio <= MaxRatio) {
			errs = append(errs, fmt.Errorf("%w: %s: %.3f × the bare ReverseProxy, the bar is %.2f", ErrTooSlow, k, ratio, MaxRatio))
		}
	}
	return errors.Join(errs...)
}

// tail keeps the start of what a process says, to name its error.
type tail struct {
	mu   sync.Mutex
	text []byte
}

// Write keeps up to 4 KiB.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b[:min(len(b), 4096-len(t.text))]...)
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
