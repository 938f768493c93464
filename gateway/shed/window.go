package shed

import (
	"math"
	"sync/atomic"
	"time"
)

const (
	buckets   = 64
	perDouble = 8 // buckets for each doubling of the ratio, from 1 to 256
	// enough is how many samples a judgement needs; with fewer the window goes on, to at most a second.
	enough  = 10
	longest = time.Second
)

// window collects what happened since the last judgement.
type window struct {
	began  atomic.Int64 // Unix nanoseconds; 0 before the first
	ratios [buckets]atomic.Uint32
	count  atomic.Uint32
	shed   atomic.Uint64
	peak   atomic.Int64  // most in flight
	last   atomic.Uint64 // bits of how many times more were asked for than were let in, in the window before
}

func (w *window) observe(ratio float64) {
	i := int(math.Log2(max(ratio, 1)) * perDouble)
	w.ratios[min(i, buckets-1)].Add(1)
	w.count.Add(1)
}

func (w *window) reached(inFlight int64) {
	for {
		p := w.peak.Load()
		if inFlight <= p || w.peak.CompareAndSwap(p, inFlight) {
			return
		}
	}
}

// pressure is the demand of the window before as a multiple of what was let in, from 1 to 50.
func (w *window) pressure() float64 {
	return min(max(math.Float64frombits(w.last.Load()), 1), 50)
}

// median returns the ratio that half of the samples are below, and empties the histogram. It is the middle of
// its bucket, and 1 for the lowest, which holds all that is within a tenth.
func (w *window) median() float64 {
	var counts [buckets]uint32
	total := uint32(0)
	for i := range w.ratios {
		counts[i] = w.ratios[i].Swap(0)
		total += counts[i]
	}
	w.count.Store(0)
	below := uint32(0)
	for i, n := range counts {
		if below += n; n > 0 && 2*below >= total {
			if i == 0 {
				return 1
			}
			return math.Exp2((float64(i) + 0.5) / perDouble)
		}
	}
	return 1
}

// judge moves the limit once per window.
func (l *Limiter) judge(now time.Time) {
	w := &l.window
	began := w.began.Load()
	since := now.Sub(time.Unix(0, began))
	if began == 0 {
		w.began.CompareAndSwap(0, now.UnixNano())
		return
	}
	if since < l.cfg.Window || w.count.Load() < enough && since < longest || !l.judges.TryLock() {
		return
	}
	defer l.judges.Unlock()
	if w.began.Load() != began {
		return // somebody else has judged it
	}
	w.began.Store(now.UnixNano())
	served, shed, peak := w.count.Load(), w.shed.Swap(0), w.peak.Swap(l.total.Load())
	w.last.Store(math.Float64bits(1 + float64(shed)/float64(served+1)))
	l.limit.Store(l.cfg.next(l.limit.Load(), peak, w.median()))
}

// next is the limit that follows: shrunk by the gradient, with some headroom so that it can find out about
// more. It grows only when the pool was busy enough to have been held back by it.
func (c *Config) next(limit, peak int64, ratio float64) int64 {
	gradient := min(max(c.Tolerance/ratio, 0.5), 1)
	target := float64(limit)*gradient + math.Sqrt(float64(limit))/2
	if target > float64(limit) && 2*peak < limit {
		return limit
	}
	moved := float64(limit) + (target-float64(limit))/2
	next := int64(math.Floor(moved))
	if moved > float64(limit) {
		next = int64(math.Ceil(moved))
	}
	return min(max(next, int64(c.Min)), int64(c.Max))
}
