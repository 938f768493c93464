package failover

import (
	"cmp"
	"slices"
	"time"

	"github.com/quorate/quorate/regions"
)

// line is how an order moves a share: straight from one value down to 0.
type line struct {
	from       float64
	start, end time.Time
}

// at returns the share on the line.
func (l line) at(now time.Time) float64 {
	left, all := l.end.Sub(now), l.end.Sub(l.start)
	if left <= 0 || all <= 0 {
		return 0
	}
	return l.from * min(1, float64(left)/float64(all))
}

// ordered reports whether an order other than on is in force.
func (r *region) ordered() bool { return r.given && !r.refused && r.order.State != OrderOn }

// barred reports whether the region takes nothing whatever happens.
func (r *region) barred() bool {
	return r.ordered() && r.order.State == OrderOff && r.state == regions.Off
}

// accept takes in an order, unless a newer one is known.
func (s *step) accept(r *region, o Order) {
	if o.State > OrderOff || r.given && !o.after(r.order) {
		return
	}
	o.Over = max(o.Over, 0)
	r.order, r.given = o, true
	s.refuse()
	s.follow(r)
}

// refuse decides anew which orders must be obeyed: the oldest first, none that leaves no region without
// an order. All gateways with the same orders decide the same.
func (s *step) refuse() {
	var orders []int
	for i := range s.regions {
		s.regions[i].refused = false
		if s.regions[i].ordered() {
			orders = append(orders, i)
		}
	}
	slices.SortFunc(orders, func(a, b int) int {
		x, y := &s.regions[a].order, &s.regions[b].order
		return cmp.Or(cmp.Compare(x.Version, y.Version), cmp.Compare(x.Gateway, y.Gateway), cmp.Compare(x.Region, y.Region))
	})
	if len(orders) == len(s.regions) {
		s.regions[orders[len(orders)-1]].refused = true
	}
}

// follow begins to carry out what is ordered now and was not before, and ends what no longer is. fresh is
// the region with a new order, or nil.
func (s *step) follow(fresh *region) {
	for i := range s.regions {
		r := &s.regions[i]
		was, is := r.obeyed, r.ordered()
		r.obeyed = is
		switch {
		case is && r == fresh:
			s.begin(r, r.order.Elapsed)
		case is && !was:
			s.begin(r, 0)
		case is:
		case r.refused && (was || r == fresh):
			s.note(r, r.order.String()+", refused: it would leave no region in service")
			if was {
				s.release(r, was)
			}
		case r == fresh:
			s.release(r, was)
		}
	}
}

// begin lays the line along which the share goes to 0.
func (s *step) begin(r *region, elapsed time.Duration) {
	over := r.order.Over
	left := min(max(over-max(elapsed, 0), 0), over)
	from := r.share
	if over > 0 {
		from = min(from, float64(left)/float64(over))
	}
	r.panic, r.line = false, line{from: from, start: s.now, end: s.now.Add(left)}
	if r.state == regions.Evacuating || r.state == regions.Off {
		r.held = ""
		s.note(r, r.order.String())
	}
}

// release gives a region back to automation, with a clean slate and without a hold-down.
func (s *step) release(r *region, was bool) {
	r.panic, r.strikes, r.failures, r.opinion, r.clear = false, 0, 0, false, s.now
	cause := r.order.String()
	if r.refused {
		cause = r.cause
	}
	if r.state == regions.Evacuating || r.state == regions.Off {
		s.change(r, regions.Recovering, cause)
	} else if was {
		s.note(r, cause)
	}
}

// obey carries an order out.
func (s *step) obey(r *region) {
	if r.state != regions.Evacuating && r.state != regions.Off {
		s.change(r, regions.Evacuating, r.order.String())
	}
}
