package control

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/quorate/quorate/internal/authority"
)

// together is how far apart two readings of the monotonic clock may be for what was read in between to belong to
// both.
const together = time.Millisecond

// readClocks reads both clocks at one moment: a process that is preempted between two readings would look like a
// machine that was suspended.
func readClocks(now func() time.Duration) authority.Clocks {
	for {
		before := now()
		boot := bootTime()
		if after := now(); after-before <= together {
			return authority.Clocks{Mono: before, Boot: boot}
		}
	}
}

// bootTime is the time since the machine started, suspended or not.
func bootTime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0 // a kernel without this clock: then nothing ever jumps
	}
	return time.Duration(ts.Nano())
}
