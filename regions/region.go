package regions

import "time"

// Via is the way traffic takes to a region's nodes.
type Via uint8

const (
	// ViaGateway: through the region's own gateway, which knows its nodes best.
	ViaGateway Via = iota
	// ViaDirect: straight to its nodes.
	ViaDirect
)

// String returns the word used in configuration and status.
func (v Via) String() string { return [...]string{"gateway", "direct"}[v&1] }

// RegionState is where a region stands in regional failover (see regions/failover).
type RegionState uint8

const (
	// On takes its full share.
	On RegionState = iota
	// DegradedRegion takes traffic, but part of its pool is ill.
	DegradedRegion
	// Evacuating gives its traffic away bit by bit.
	Evacuating
	// Off takes none.
	Off
	// Recovering is given its traffic back bit by bit.
	Recovering
)

// String returns the word shown in status.
func (s RegionState) String() string {
	if s > Recovering {
		return "invalid"
	}
	return [...]string{"on", "degraded", "evacuating", "off", "recovering"}[s]
}

// Region is one failure domain as a table shows it.
type Region struct {
	Name  string
	Via   Via
	RTT   time.Duration // round trip from this gateway, measured or seeded; 0 for the gateway's own region
	Class Class         // fastest class that it can serve; decided with hysteresis, so not a function of RTT alone
	State RegionState
	// Share is the part, 0..1, that it takes of the traffic which its distance alone would give it.
	Share float64
	// Barred: an operator has turned it off, so it takes nothing, not even when nobody else can.
	Barred bool
	// Capacity is how many requests of other regions it has in flight at once at most; 0: what it learns.
	Capacity int
	Cause    string // why it is in its state, for operators
}
