package verify

import "github.com/quorate/quorate/regions"

// Event is what one moment says of a node.
type Event uint8

const (
	// Good: a check ended well.
	Good Event = iota + 1
	// Bad: a check failed.
	Bad
	// Dead: the data plane proved that the node does not answer at all.
	Dead
	// Impostor: what answers did not prove the node's identity.
	Impostor
)

// Health is the part of an observation that Step moves.
type Health struct {
	State     regions.State
	Failures  int  // failed checks in a row
	Successes int  // good checks in a row, counted only while the node is not healthy
	Unproven  bool // its last proof of identity failed, and it has not been healthy since; State is Unknown
}

// Thresholds are how many results in a row move a node down and up; both at least 1.
type Thresholds struct {
	Failures  int // failed checks until unhealthy; default 3
	Successes int // good checks until healthy again; default 2
}

// Step returns the health after e. It is pure.
//
//   - An unknown node stays unknown, and so takes no traffic, until its first good check, which makes
//     it healthy at once: there is no failure to be careful about.
//   - The first failed check degrades a healthy node, Thresholds.Failures in a row make it unhealthy.
//   - Dead makes any verified node unhealthy at once.
//   - Thresholds.Successes in a row make a degraded or unhealthy node healthy; until then it stays
//     what it was.
//   - Impostor makes any node unknown at once, as if it had never been verified: an unhealthy one would
//     take traffic in panic. The way back is that of an unhealthy node.
func Step(t Thresholds, h Health, e Event) Health {
	switch e {
	case Good:
		return up(t, h)
	case Impostor:
		return Health{Failures: h.Failures + 1, Unproven: true}
	case Dead:
		h.Failures = max(h.Failures+1, t.Failures)
		return down(t, h)
	default:
		h.Failures++
		return down(t, h)
	}
}

func up(t Thresholds, h Health) Health {
	h.Failures = 0
	h.Successes++
	if h.State == regions.Unknown && !h.Unproven || h.State == regions.Healthy || h.Successes >= t.Successes {
		return Health{State: regions.Healthy}
	}
	return h
}

func down(t Thresholds, h Health) Health {
	h.Successes = 0
	switch {
	case h.State == regions.Unknown || h.State == regions.Unhealthy:
	case h.Failures >= t.Failures:
		h.State = regions.Unhealthy
	default:
		h.State = regions.Degraded
	}
	return h
}
