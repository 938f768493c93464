package failover

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/quorate/quorate/regions"
)

// Errors that callers branch on.
var (
	// ErrUnknownRegion: the fleet has no region of that name.
	ErrUnknownRegion = errors.New("unknown region")
	// ErrLastRegion: the order would leave no region in service.
	ErrLastRegion = errors.New("it would leave no region in service")
)

// Fleet is the state of all regions as one gateway sees it. It is a value: Step returns a new one and
// leaves the old one as it was. Make it with New.
type Fleet struct {
	cfg     Config
	own     string // the region of this gateway
	now     time.Time
	regions []region  // by name
	suspect bool      // most other regions fail from here: it is probably this gateway that is cut off
	idle    time.Time // since when nothing takes the traffic; zero while something does
	served  time.Time // since when a region that was not called up in panic takes it; zero while none does
}

// region is one machine.
type region struct {
	name  string
	state regions.RegionState
	cause string
	since time.Time
	share float64

	evidence
	demand, capacity float64

	strikes int       // evacuations that still count
	good    time.Time // since when it has been well, for forgetting strikes
	panic   bool      // serves because nobody else did
	reason  reason    // why it is degraded
	trigger string    // why it was evacuated
	held    string    // why its evacuation stands still; empty while it does not

	order   Order
	given   bool // there is an order
	refused bool // and it must not be obeyed
	obeyed  bool // and it is being carried out, or has been
	line    line // of the share while it is
}

// New returns the fleet as a gateway in region own begins: all regions on. names are the other regions;
// at most MaxRegions in all.
func New(cfg Config, own string, names []string, now time.Time) (Fleet, error) {
	cfg, err := cfg.WithDefaults()
	if err != nil {
		return Fleet{}, err
	}
	f := Fleet{cfg: cfg, own: own, now: now}
	f, _, err = f.With(names, now)
	return f, err
}

// With returns the fleet with the other regions names. Those it had keep their state; new ones are on.
func (f Fleet) With(names []string, now time.Time) (Fleet, []Effect, error) {
	s := newStep(f, now)
	all := []region{}
	for _, name := range append([]string{f.own}, names...) {
		r := region{name: name, cause: "not checked yet", since: s.now, share: 1, good: s.now, evidence: evidence{health: 1}}
		if i := f.index(name); i >= 0 {
			r = f.regions[i]
		}
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b region) int { return cmp.Compare(a.name, b.name) })
	switch {
	case len(all) > MaxRegions:
		return f, nil, fmt.Errorf("failover: %d regions, at most %d fit", len(all), MaxRegions)
	case all[0].name == "":
		return f, nil, errors.New("failover: a region needs a name")
	}
	for i := range all[1:] {
		if all[i].name == all[i+1].name {
			return f, nil, fmt.Errorf("failover: region %q is listed twice", all[i].name)
		}
	}
	s.regions = all
	s.refuse()
	s.follow(nil)
	s.settle()
	return s.Fleet, s.effects, nil
}

func (f *Fleet) index(name string) int {
	for i := range f.regions {
		if f.regions[i].name == name {
			return i
		}
	}
	return -1
}

// Config returns the pace, with defaults filled in.
func (f Fleet) Config() Config { return f.cfg }

// Status is one region as it stands.
type Status struct {
	Name   string
	State  regions.RegionState
	Cause  string
	Since  time.Time // when State began
	Share  float64   // part of the traffic that its distance alone would give it, 0..1
	Weight float64   // Share as part of the shares of all
	Barred bool
	Held   bool  // its evacuation stands still; Cause says why
	Panic  bool  // it serves only because nobody else did
	Order  Order // the zero value where none was ever given
	// Refused: Order would leave no region in service, so it is not obeyed.
	Refused bool
	Opinion Opinion // this gateway's
	Others  []Opinion
}

// Opinion is what one gateway thinks of a region.
type Opinion struct {
	From, Gateway string // empty: this gateway
	Known         bool   // there is evidence that still counts
	Failing       bool
	Age           time.Duration
}

// Regions returns all regions by name.
func (f Fleet) Regions() []Status {
	weights := f.weights()
	out := make([]Status, len(f.regions))
	for i := range f.regions {
		r := &f.regions[i]
		out[i] = Status{
			Name: r.name, State: r.state, Cause: r.cause, Since: r.since, Share: r.share, Weight: weights[i],
			Barred: r.barred(), Held: r.held != "", Panic: r.panic, Order: r.order, Refused: r.refused,
			Opinion: f.opinionOf(r),
		}
		for _, v := range r.reports {
			if f.fresh(v.at) {
				out[i].Others = append(out[i].Others, Opinion{From: v.from, Gateway: v.gateway, Known: true, Failing: v.failing, Age: f.now.Sub(v.at)})
			}
		}
	}
	return out
}

// opinionOf is what this gateway thinks of r. While it suspects itself it has none of other regions: what
// it sees of them says nothing about them.
func (f *Fleet) opinionOf(r *region) Opinion {
	known := f.fresh(r.checked) && (!f.suspect || r.name == f.own)
	return Opinion{Known: known, Failing: known && r.opinion, Age: f.now.Sub(r.checked)}
}

// Share returns the part, 0..1, of its traffic that a region should get; 0 for an unknown one.
func (f Fleet) Share(name string) float64 {
	if i := f.index(name); i >= 0 {
		return f.regions[i].share
	}
	return 0
}

// State returns a region's state; Off for an unknown one.
func (f Fleet) State(name string) regions.RegionState {
	if i := f.index(name); i >= 0 {
		return f.regions[i].state
	}
	return regions.Off
}

// Cause says why a region is in its state.
func (f Fleet) Cause(name string) string {
	if i := f.index(name); i >= 0 {
		return f.regions[i].cause
	}
	return ""
}

// Since returns when a region's state began.
func (f Fleet) Since(name string) time.Time {
	if i := f.index(name); i >= 0 {
		return f.regions[i].since
	}
	return time.Time{}
}

// Barred reports whether an operator has turned a region off for good.
func (f Fleet) Barred(name string) bool {
	i := f.index(name)
	return i >= 0 && f.regions[i].barred()
}

// Weights returns the shares as parts of their sum. They sum to 1 as long as one region is not barred:
// where no region has a share, the least bad one gets everything.
func (f Fleet) Weights() map[string]float64 {
	out := make(map[string]float64, len(f.regions))
	for i, w := range f.weights() {
		out[f.regions[i].name] = w
	}
	return out
}

func (f *Fleet) weights() []float64 {
	out := make([]float64, len(f.regions))
	sum := 0.0
	for i := range f.regions {
		sum += f.regions[i].share
	}
	if sum > 0 {
		for i := range out {
			out[i] = f.regions[i].share / sum
		}
	} else if i := f.leastBad(); i >= 0 {
		out[i] = 1
	}
	return out
}

// Refusal returns why an order for a region would not be obeyed: ErrUnknownRegion, ErrLastRegion or nil.
func (f Fleet) Refusal(name string, state OrderState) error {
	at := f.index(name)
	if at < 0 {
		return fmt.Errorf("failover: %w: %q", ErrUnknownRegion, name)
	}
	if state == OrderOn {
		return nil
	}
	why := "it is the only region"
	for i := range f.regions {
		r := &f.regions[i]
		switch {
		case i == at:
		case !r.ordered():
			return nil
		default:
			why = fmt.Sprintf("%s is %s", r.name, r.order)
		}
	}
	return fmt.Errorf("failover: %q cannot be %s: %w: %s", name, state, ErrLastRegion, why)
}
