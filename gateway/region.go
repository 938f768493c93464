package gateway

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/upstream"
	"github.com/quorate/quorate/internal/breaker"
	"github.com/quorate/quorate/regions"
)

// regionOpenFor is how long a region that failed under failover traffic is left alone before one request
// that may safely be sent twice tries it.
const regionOpenFor = 2 * time.Second

// region is what outlives tables of one other region: it guards the failover into it.
type region struct {
	name     string
	breaker  *breaker.Breaker
	rtt      atomic.Int64 // nanoseconds
	capacity atomic.Int64 // of this gateway's requests in flight there; 0: the region itself says when it is full
	inFlight atomic.Int64
}

func newRegion(name string) (*region, error) {
	b, err := breaker.New(breaker.Config{OpenFor: regionOpenFor})
	return &region{name: name, breaker: b}, err
}

// takes reports whether the region may be given a request of this retry class now. Only what may be sent
// twice tries a region that has failed.
func (r *region) takes(class mcp.RetryClass) bool {
	if c := r.capacity.Load(); c > 0 && r.inFlight.Load() >= c {
		return false
	}
	switch r.breaker.State() {
	case "closed":
		return true
	case "half_open":
		return class == mcp.Hedge
	}
	return false
}

// passage is one attempt's way through the guard of another region.
type passage struct {
	region *region
	report func(breaker.Outcome)
}

// enter opens the way; into the gateway's own region it is always open.
func (p *passage) enter(r *poolRegion, node regions.NodeID) error {
	if r.region == nil {
		return nil
	}
	report, err := r.breaker.Allow()
	if err != nil {
		return &upstream.Error{Node: node, Progress: upstream.NotSent, Failure: upstream.BreakerOpen, Err: err}
	}
	r.inFlight.Add(1)
	p.region, p.report = r.region, report
	return nil
}

// leave ends it; it may be called again.
func (p *passage) leave(o breaker.Outcome) {
	if p.region == nil {
		return
	}
	p.region.inFlight.Add(-1)
	p.report(o)
	p.region = nil
}

// verdictOf says what a failed attempt means for its region. A death or a false identity is verification's matter, and a
// region that is full, or that may not write, is not a region that fails.
func verdictOf(err error) breaker.Outcome {
	var broken *upstream.Error
	switch {
	case errors.Is(err, errBusy):
		return breaker.Failure
	case !errors.As(err, &broken):
		return breaker.Ignored
	}
	switch broken.Failure {
	case upstream.Canceled, upstream.Dead, upstream.Shed, upstream.BreakerOpen, upstream.Unproven,
		upstream.Closed, upstream.Barred, upstream.Fenced:
		return breaker.Ignored
	}
	return breaker.Failure
}

// region returns the runtime of a region of the table, which is not the gateway's own.
func (f *fleet) region(info *regions.Region) (*region, error) {
	r := f.regions[info.Name]
	if r == nil {
		var err error
		if r, err = newRegion(info.Name); err != nil {
			return nil, err
		}
		f.regions[info.Name] = r
	}
	r.rtt.Store(int64(info.RTT))
	r.capacity.Store(int64(info.Capacity))
	return r, nil
}

// RegionFigures is what the data plane knows of another region.
type RegionFigures struct {
	Name     string
	InFlight int64
	Breaker  string // closed, open or half_open
}

// Regions returns the figures of every other region in the present table.
func (g *Gateway) Regions() []RegionFigures {
	v := g.view.Load()
	all := make([]RegionFigures, 0, len(v.regions))
	for _, r := range v.regions {
		all = append(all, RegionFigures{r.name, r.inFlight.Load(), r.breaker.State()})
	}
	return all
}
