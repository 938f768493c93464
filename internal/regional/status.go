package regional

import (
	"time"

	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/failover"
)

// kept is how many changes of each region are remembered.
const kept = 32

// Change is one change of a region's state.
type Change struct {
	At       time.Time
	From, To regions.RegionState
	Cause    string
}

// Vantage is what one gateway thinks of a region.
type Vantage struct {
	Gateway string
	Region  string        // where it runs
	Opinion string        // "healthy", "failing", or "unknown" where this gateway has none
	Age     time.Duration // 0 where it has none
}

// OrderStatus is the last order for a region.
type OrderStatus struct {
	State   failover.OrderState
	Over    time.Duration
	By      string
	At      time.Time // when it was given, by the clock of the gateway where it was
	Gateway string    // REGION/NAME of that
	Refused bool      // it is not obeyed, because it would leave no region in service
}

// Status is one region as operators see it.
type Status struct {
	Name     string
	Local    bool // this gateway's own
	State    regions.RegionState
	Cause    string
	Since    time.Time
	Share    float64 // of the traffic that distance alone would give it, 0..1
	Weight   float64 // Share as part of all regions' shares
	Barred   bool
	Held     bool // its evacuation stands still; Cause says why
	Panic    bool // it serves because nobody else did
	RTT      time.Duration
	Class    regions.Class
	Via      regions.Via
	Capacity int
	Demand   float64
	Order    *OrderStatus // nil: none was ever given
	History  []Change     // the last 32, oldest first
	Vantages []Vantage    // this gateway first
}

// Status returns all regions by name.
func (d *Driver) Status() []Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := d.fleet.Regions()
	out := make([]Status, len(all))
	for i, s := range all {
		out[i] = d.status(s)
	}
	return out
}

func (d *Driver) status(s failover.Status) Status {
	r := d.region(s)
	out := Status{
		Name: s.Name, Local: s.Name == d.cfg.Region, State: s.State, Cause: s.Cause, Since: s.Since,
		Share: s.Share, Weight: s.Weight, Barred: s.Barred, Held: s.Held, Panic: s.Panic,
		RTT: r.RTT, Class: r.Class, Via: r.Via, Capacity: r.Capacity, Demand: d.seen[s.Name].Demand,
		History:  append([]Change(nil), d.past[s.Name]...),
		Vantages: []Vantage{d.vantage(s.Opinion)},
	}
	if o, ok := d.orders[s.Name]; ok {
		out.Order = &OrderStatus{State: o.State, Over: o.Over, By: o.By, At: o.At, Gateway: o.Gateway, Refused: s.Refused}
	}
	for _, o := range s.Others {
		out.Vantages = append(out.Vantages, d.vantage(o))
	}
	return out
}

func (d *Driver) vantage(o failover.Opinion) Vantage {
	v := Vantage{Gateway: o.Gateway, Region: o.From, Opinion: "unknown"}
	if v.Gateway == "" {
		v.Gateway, v.Region = d.cfg.Gateway, d.cfg.Region
	}
	if o.Known {
		v.Opinion, v.Age = "healthy", o.Age
		if o.Failing {
			v.Opinion = "failing"
		}
	}
	return v
}

func (d *Driver) remember(now time.Time, e failover.Effect) {
	past := d.past[e.Region]
	past = append(past, Change{At: now, From: e.From, To: e.To, Cause: e.Cause})
	d.past[e.Region] = past[max(0, len(past)-kept):]
}
