package breaker

import (
	"fmt"
	"time"

	"github.com/sony/gobreaker/v2"
)

// windowBuckets is how finely the window rolls.
const windowBuckets = 10

// Config says when a breaker trips and how it comes back. The zero value takes every default.
type Config struct {
	// Window is how far back the ratio looks, 10 ms to 1 h. Default 10 s.
	Window time.Duration
	// Ratio of failed to ended calls in the window that trips, over 0 to 1. Default 0.5.
	Ratio float64
	// Volume is how many calls must have ended in the window before the ratio counts, from 1. Default 20.
	Volume int
	// Consecutive failures that trip, however long they took, from 1. Default 5.
	Consecutive int
	// OpenFor is the time from a trip to the first probe, from 1 ms. Default 1 s.
	OpenFor time.Duration
	// Probes is how many calls may be out while half open, and how many in a row must succeed to
	// close, 1 to 100. Default 1.
	Probes int
	// ProbeDeadline is how long a probe keeps its place without reporting, from 1 ms. Default 1 s.
	ProbeDeadline time.Duration
	// OnChange is told of every change of state, in order, on a goroutine of its own and under no
	// lock. It should be quick: if changes queue up the oldest are lost. Nil: nobody is told.
	OnChange func(from, to string)
}

func (c Config) withDefaults() (Config, error) {
	orDefault(&c.Window, 10*time.Second)
	orDefault(&c.Ratio, 0.5)
	orDefault(&c.Volume, 20)
	orDefault(&c.Consecutive, 5)
	orDefault(&c.OpenFor, time.Second)
	orDefault(&c.Probes, 1)
	orDefault(&c.ProbeDeadline, time.Second)
	switch {
	case c.Window < 10*time.Millisecond || c.Window > time.Hour:
		return c, fmt.Errorf("breaker: window %v is outside 10ms..1h", c.Window)
	case !(c.Ratio > 0 && c.Ratio <= 1):
		return c, fmt.Errorf("breaker: ratio %v is outside 0..1", c.Ratio)
	case c.Volume < 1:
		return c, fmt.Errorf("breaker: volume %d is below 1", c.Volume)
	case c.Consecutive < 1:
		return c, fmt.Errorf("breaker: consecutive %d is below 1", c.Consecutive)
	case c.OpenFor < time.Millisecond:
		return c, fmt.Errorf("breaker: open for %v is below 1ms", c.OpenFor)
	case c.Probes < 1 || c.Probes > 100:
		return c, fmt.Errorf("breaker: probes %d is outside 1..100", c.Probes)
	case c.ProbeDeadline < time.Millisecond:
		return c, fmt.Errorf("breaker: probe deadline %v is below 1ms", c.ProbeDeadline)
	}
	return c, nil
}

func orDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// trips is asked at every failure. It divides by ended calls, not by gobreaker's Requests, which
// also holds excluded ones.
func (c Config) trips(n gobreaker.Counts, row int64) bool {
	if row >= int64(c.Consecutive) {
		return true
	}
	ended := int64(n.TotalSuccesses) + int64(n.TotalFailures)
	return ended >= int64(c.Volume) && float64(n.TotalFailures) >= c.Ratio*float64(ended)
}
