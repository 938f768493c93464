package balance

import (
	"math"
	"sync/atomic"
	"time"
)

const (
	// tau is the time in which an estimate loses 63 % of what it knew.
	tau = 10 * time.Second
	// stale is how far back a clock reading may lie behind another's before it counts as a wrap of
	// the 32-bit clock (49 days) instead of two callers overtaking each other.
	stale = -1000
)

// EWMA is a peak-sensitive, exponentially weighted mean of latencies: a slower sample is taken at
// once, a faster one only as time passes, and without samples the estimate fades to zero, so that an
// idle node is tried again. The zero value knows nothing. Methods are lock-free and may be called
// concurrently; the whole state is one word, value and time never tear.
type EWMA struct {
	bits atomic.Uint64 // high half: float32 nanoseconds, low half: milliseconds of its time
}

// Observe takes a sample. Negative samples count as zero.
func (e *EWMA) Observe(now time.Time, d time.Duration) {
	sample, tick := float64(max(d, 1)), uint32(now.UnixMilli())
	for {
		old := e.bits.Load()
		value, age := unpack(old, tick)
		switch {
		case old == 0 || sample >= value:
			value = sample
		case age == 0:
			return // same millisecond: no time has passed in which to move down
		default:
			keep := fade(age)
			value = value*keep + sample*(1-keep)
		}
		if e.bits.CompareAndSwap(old, pack(value, tick)) {
			return
		}
	}
}

// Value returns the estimate as of now; 0 means that nothing is known any more.
func (e *EWMA) Value(now time.Time) time.Duration {
	bits := e.bits.Load()
	if bits == 0 {
		return 0
	}
	value, age := unpack(bits, uint32(now.UnixMilli()))
	return time.Duration(value * fade(age))
}

// Reset forgets everything, as for a node that came back from the dead.
func (e *EWMA) Reset() { e.bits.Store(0) }

// fade is the share of an estimate that is left after age milliseconds.
func fade(age uint32) float64 {
	if age == 0 {
		return 1 // the usual case under load, and exp is not free
	}
	return math.Exp(-float64(age) / float64(tau/time.Millisecond))
}

func pack(value float64, tick uint32) uint64 {
	return uint64(math.Float32bits(float32(value)))<<32 | uint64(tick)
}

func unpack(bits uint64, tick uint32) (value float64, age uint32) {
	value = float64(math.Float32frombits(uint32(bits >> 32)))
	passed := int32(tick - uint32(bits))
	if passed < 0 && passed > stale {
		return value, 0
	}
	return value, uint32(passed)
}
