package authority

import (
	"sync/atomic"
	"time"
)

// Lease is the write gate as the request path sees it: open until a deadline. One goroutine sets the deadline,
// any number ask. The zero value is no lease; NewLease makes one.
type Lease struct {
	epoch    time.Time
	deadline atomic.Int64 // nanoseconds since epoch; 0: closed
}

// NewLease returns a closed gate. epoch must come from time.Now, which carries the monotonic clock; it is time 0
// of the Gate that this lease follows.
func NewLease(epoch time.Time) *Lease { return &Lease{epoch: epoch} }

// Allow reports whether a write may go out now: one atomic load and one read of the monotonic clock.
func (l *Lease) Allow() bool { return int64(time.Since(l.epoch)) < l.deadline.Load() }

// Now is the time by the lease's clock: what a Gate is told as its own.
func (l *Lease) Now() time.Duration { return time.Since(l.epoch) }

// Set moves the deadline to what Gate.Deadline says; 0 closes at once.
func (l *Lease) Set(deadline time.Duration) { l.deadline.Store(int64(deadline)) }
