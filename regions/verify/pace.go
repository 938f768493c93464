package verify

import (
	"time"

	"github.com/quorate/quorate/regions"
)

const (
	firstBackoff = 50 * time.Millisecond  // first re-check of a node that went down
	comingUp     = 100 * time.Millisecond // re-check between the first and the last good check of a recovery
	minSpacing   = 250 * time.Millisecond // least time between two checks of one node, whoever asks for them
	jitter       = 0.10                   // every wait is drawn from ±10 %, so that gateways and nodes spread out
)

// pace says when the next check is due. It is pure; the zero value is a node just proposed.
type pace struct {
	backoff time.Duration // the last wait in a row of failures; 0 outside one
}

// next returns the wait after a check that left a node in h, before jitter, and the pace after it:
// quick while coming up, backing off from 50 ms to interval while down or never seen, else interval.
func (p pace) next(h Health, interval time.Duration) (time.Duration, pace) {
	switch {
	case h.Successes > 0:
		return min(comingUp, interval), pace{}
	case h.State == regions.Unhealthy || h.State == regions.Unknown:
		wait := min(max(2*p.backoff, firstBackoff), interval)
		return wait, pace{backoff: wait}
	default:
		return interval, pace{}
	}
}

// jittered moves d by up to ±10 %; random is uniform in [0,1).
func jittered(d time.Duration, random float64) time.Duration {
	return time.Duration(float64(d) * (1 - jitter + 2*jitter*random))
}
