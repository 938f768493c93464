package chaos

import (
	"time"

	"golang.org/x/sys/unix"
)

// startClock returns a clock that shows 0 now, and what CLOCK_MONOTONIC shows now: the machine's one clock, by which
// nodes note their effects.
func startClock() (zero time.Duration, clock func() time.Duration) {
	now := func() time.Duration {
		var t unix.Timespec
		_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) // it fails for clocks that do not exist
		return time.Duration(t.Nano())
	}
	zero = now()
	return zero, func() time.Duration { return now() - zero }
}
