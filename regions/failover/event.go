package failover

import (
	"fmt"
	"time"

	"github.com/quorate/quorate/regions"
)

// Event is something that a gateway learns: a Check, Report, Load or Order, or a Tick when it learns nothing.
type Event interface{ event() }

// Check is one look at a region from this gateway, made every Config.Interval.
type Check struct {
	Region      string
	Reachable   bool    // something there answered
	BreakerOpen bool    // the data plane has stopped sending there
	Health      float64 // part of its nodes that are healthy, 0..1
}

// Report is another gateway's opinion of a region. Gateways of one region share its fate, so they have
// one vote together.
type Report struct {
	Region  string // whom it is about
	From    string // the region of the gateway that says so
	Gateway string
	Failing bool
	Age     time.Duration // how old the opinion is; it counts for three intervals
}

// Load is what a region bears, in any one unit for the whole fleet (requests in flight).
type Load struct {
	Region   string
	Demand   float64 // what it is given now
	Capacity float64 // what it can take; 0: unknown, then nothing is held back for its sake
}

// OrderState is what an operator wants of a region.
type OrderState uint8

const (
	// OrderOn ends any other order: automation decides again, without a hold-down.
	OrderOn OrderState = iota
	// OrderDraining shifts the traffic away. The region stays there for when nobody else can serve.
	OrderDraining
	// OrderOff shifts the traffic away and then bars the region.
	OrderOff
)

// String returns the word used in the admin API.
func (s OrderState) String() string {
	if s > OrderOff {
		return "invalid"
	}
	return [...]string{"on", "draining", "off"}[s]
}

// MarshalText writes the word.
func (s OrderState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (s *OrderState) UnmarshalText(word []byte) error {
	for o := OrderOn; o <= OrderOff; o++ {
		if o.String() == string(word) {
			*s = o
			return nil
		}
	}
	return fmt.Errorf("failover: order %q is none of on, draining, off", word)
}

// Order is an operator's will. Of two for one region the one with the higher Version counts, at equal
// versions the one with the greater Gateway, so that all gateways end with the same orders whatever way
// they come. An order that would leave no region without one is kept, but not obeyed.
type Order struct {
	Region  string
	State   OrderState
	Over    time.Duration // how long shifting the traffic away takes; 0: at once
	By      string        // who gave it
	Version uint64
	Gateway string        // where it was given
	Elapsed time.Duration // how much of Over has passed when it arrives here
}

// Tick is the passing of time.
type Tick struct{}

func (Check) event()  {}
func (Report) event() {}
func (Load) event()   {}
func (Order) event()  {}
func (Tick) event()   {}

// after reports whether o replaces other.
func (o Order) after(other Order) bool {
	return o.Version > other.Version || o.Version == other.Version && o.Gateway > other.Gateway
}

func (o Order) String() string {
	switch {
	case o.State != OrderOn && o.Over > 0:
		return fmt.Sprintf("ordered by %s: %s over %s", o.By, o.State, o.Over)
	default:
		return fmt.Sprintf("ordered by %s: %s", o.By, o.State)
	}
}

// Effect is something to tell: a change of state, or, where From and To are the same, a new reason for
// the state a region is in.
type Effect struct {
	Region   string
	From, To regions.RegionState
	Cause    string
}

// Changed reports whether the state is another one than before.
func (e Effect) Changed() bool { return e.From != e.To }

// String is the line to log.
func (e Effect) String() string {
	if e.Changed() {
		return fmt.Sprintf("region %s: %s -> %s: %s", e.Region, e.From, e.To, e.Cause)
	}
	return fmt.Sprintf("region %s: %s: %s", e.Region, e.To, e.Cause)
}
