package dns

import "time"

// Backoff after rounds that learned nothing: from firstBackoff, twice as long each time, up to lastBackoff or the
// ceiling, with a jitter of half of it, so that gateways do not fall upon a resolver together when it comes back.
const (
	firstBackoff = time.Second
	lastBackoff  = time.Minute
)

// pace is the backoff after the last failure, 0 after a success.
type pace struct {
	backoff time.Duration
}

// next returns how long to wait before the next round. A time to live is held to the bounds of c and moved by up to
// a tenth upwards: a resolver asked a moment too early answers from its cache with the moment that is left.
func (p pace) next(learned bool, ttl time.Duration, c Config) (time.Duration, pace) {
	random := c.random()
	if learned {
		wait := min(max(ttl, c.Floor), c.Ceiling)
		return wait + time.Duration(random/10*float64(wait)), pace{}
	}
	backoff := min(max(2*p.backoff, firstBackoff), lastBackoff, c.Ceiling)
	return backoff/2 + time.Duration(random/2*float64(backoff)), pace{backoff: backoff}
}
