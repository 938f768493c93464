// Package balance picks the node of a pool that a request goes to next.
// It must not know requests, connections, clocks or where nodes come from.
package balance

import (
	"math/bits"
	"time"

	"github.com/quorate/quorate/regions"
)

// Candidate is what the choice needs to know of a node at one moment.
type Candidate struct {
	State    regions.State
	Dead     bool          // refused a connect or failed a probe: after all others, even in panic
	Weight   int32         // 1..1000; anything less counts as 1
	Ramp     float32       // slow start: the share of its weight it may use, over 0 to 1; 0 counts as 1
	InFlight int64         // attempts that have not ended
	Latency  time.Duration // peak EWMA; 0 means not known, which is neither fast nor slow
}

const (
	// tieNum/tieDen: costs closer than 5:4 are a tie, and weight alone decides. Otherwise noise in
	// the latencies of equal nodes would send all of a light load to one of them.
	tieNum, tieDen = 5, 4
	// maxSlower bounds how much slower a node may look. Tools differ by orders of magnitude, so one
	// slow call must not banish its node while others queue up.
	maxSlower = 8
	// fullShare is the share of a node of weight 1 after its slow start.
	fullShare = 1000
)

// tier orders nodes: lower takes traffic first, none takes no traffic.
type tier uint8

const (
	first tier = iota
	second
	third
	last
	none
)

// Ramp returns a node's share of its weight at a time since it became healthy: from a tenth to the
// whole, linearly over window. A window of 0 is no slow start.
func Ramp(since, window time.Duration) float32 {
	if window <= 0 || since >= window {
		return 1
	}
	return max(0.1, float32(since)/float32(window))
}

func tierOf(c *Candidate, panicking bool) tier {
	switch {
	case c.State == regions.Unknown:
		return none
	case c.Dead:
		return last
	case panicking || c.State == regions.Healthy:
		return first
	case c.State == regions.Degraded:
		return second
	}
	return third
}

// share is a node's effective weight in thousandths.
func share(c *Candidate) uint64 {
	full := uint64(max(c.Weight, 1)) * fullShare
	if c.Ramp > 0 && c.Ramp < 1 {
		return max(1, uint64(float32(full)*c.Ramp))
	}
	return full
}

// cheaper reports whether b costs less than a by more than a tie. In-flight calls count per share, so
// that they settle in proportion to the weights, while idle nodes are told apart by latency only.
func cheaper(b, a *Candidate) bool {
	la, lb := float64(a.Latency), float64(b.Latency)
	if la <= 0 || lb <= 0 {
		la, lb = 1, 1
	}
	la, lb = min(la, maxSlower*lb), min(lb, maxSlower*la)
	return lb*load(b)*tieNum < la*load(a)*tieDen
}

func load(c *Candidate) float64 {
	return 1 + float64(max(c.InFlight, 0))*fullShare/float64(share(c))
}

// scale maps random bits to 0..n-1.
func scale(rnd, n uint64) uint64 {
	hi, _ := bits.Mul64(rnd, n)
	return hi
}

// mix derives a second draw from the first (the finalizer of SplitMix64).
func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
