package regions

import (
	"errors"
	"fmt"
	"time"
)

// Class is a latency class: the round trip between this gateway and a region that a request tolerates.
type Class uint8

const (
	// Fast tolerates the shortest round trip; by default 10 ms.
	Fast Class = iota
	// Medium tolerates more; by default 50 ms.
	Medium
	// Slow tolerates most; by default 100 ms.
	Slow
	// Beyond is a region that is too far for every class. No request asks for it.
	Beyond
)

// Classes is the number of classes that a request can ask for.
const Classes = int(Beyond)

// String returns the word used in configuration, headers and metrics.
func (c Class) String() string {
	return [...]string{"fast", "medium", "slow", "beyond"}[c&3]
}

// ParseClass is the inverse of String for classes that a request can ask for.
func ParseClass(word string) (Class, bool) {
	for c := Fast; c < Beyond; c++ {
		if c.String() == word {
			return c, true
		}
	}
	return Beyond, false
}

// Bounds holds the largest round trip of each class, growing from Fast to Slow.
type Bounds [Classes]time.Duration

// DefaultBounds are 10, 50 and 100 ms.
func DefaultBounds() Bounds {
	return Bounds{10 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond}
}

// ErrBounds is wrapped by the error of Bounds.Check.
var ErrBounds = errors.New("class bounds must be positive and grow from fast to slow")

// Check reports bounds that are not positive or do not grow.
func (b Bounds) Check() error {
	last := time.Duration(0)
	for c, d := range b {
		if d <= last {
			return fmt.Errorf("regions: %w: %s is %s", ErrBounds, Class(c), d)
		}
		last = d
	}
	return nil
}

// Of returns the fastest class that a round trip fits.
func (b Bounds) Of(rtt time.Duration) Class {
	for c, bound := range b {
		if rtt <= bound {
			return Class(c)
		}
	}
	return Beyond
}

// Spill says which slower regions a request may use when no region of its class can take it.
type Spill uint8

const (
	// SpillNext allows regions one class slower.
	SpillNext Spill = iota
	// SpillStrict allows none: the agent gets an error instead.
	SpillStrict
	// SpillAny allows every region, Beyond too.
	SpillAny
)

// Spills is the number of spill policies.
const Spills = 3

// String returns the word used in configuration.
func (s Spill) String() string {
	return [...]string{"next", "strict", "any"}[min(s, SpillAny)]
}

// ParseSpill is the inverse of String.
func ParseSpill(word string) (Spill, bool) {
	for s := SpillNext; s <= SpillAny; s++ {
		if s.String() == word {
			return s, true
		}
	}
	return SpillNext, false
}

// Slowest returns the slowest region class that a request of class c may use under s.
func (s Spill) Slowest(c Class) Class {
	switch s {
	case SpillStrict:
		return c
	case SpillAny:
		return Beyond
	}
	return min(c+1, Beyond)
}
