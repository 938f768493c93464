package failover

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/regions"
)

// evidence is what is known of one region.
type evidence struct {
	checked  time.Time // last check from here
	failed   time.Time // last failed one
	clear    time.Time // since when it has not been failing
	health   float64
	cut      bool // the last check got no answer
	open     bool // the last check found the breaker open
	failures int  // failed checks in a row
	goods    int  // good ones
	perfect  int  // those with every node healthy
	opinion  bool // it fails
	reports  []report
}

// report is another gateway's opinion; sorted by region and gateway.
type report struct {
	from, gateway string
	failing       bool
	at            time.Time
}

// fresh reports whether evidence of a moment still counts.
func (f *Fleet) fresh(at time.Time) bool {
	return !at.IsZero() && f.now.Sub(at) <= reportsLast*f.cfg.Interval
}

// failing is this gateway's opinion.
func (f *Fleet) failing(r *region) bool { return r.opinion && f.fresh(r.checked) }

// down reports whether the last check failed, which is not yet an opinion, or too few since were good.
func (f *Fleet) down(r *region) bool { return (r.opinion || r.failures > 0) && f.fresh(r.checked) }

// check takes in one look at a region.
func (s *step) check(r *region, c Check) {
	stale := !s.fresh(r.checked)
	r.checked, r.cut, r.open = s.now, !c.Reachable, c.BreakerOpen
	health := part(c.Health)
	if c.Reachable {
		r.health = health
	}
	if !c.Reachable || c.BreakerOpen || health == 0 {
		r.failed, r.goods, r.perfect = s.now, 0, 0
		r.failures = min(r.failures+1, s.cfg.Failures)
		r.opinion = r.opinion || r.failures >= s.cfg.Failures
		return
	}
	r.failures = 0
	r.goods = min(r.goods+1, successes)
	if r.perfect = min(r.perfect+1, successes); health < 1 {
		r.perfect = 0
	}
	if r.opinion && r.goods >= successes {
		r.opinion, r.clear = false, s.now
	}
	if stale {
		r.clear = s.now // nobody knows how it was in between
	}
}

// part brings a number from outside into 0..1.
func part(x float64) float64 {
	if !(x > 0) { // NaN too
		return 0
	}
	return min(x, 1)
}

// report takes in another gateway's opinion.
func (s *step) report(r *region, e Report) {
	at := s.now.Add(-max(e.Age, 0))
	if !s.fresh(at) || e.Gateway == "" {
		return
	}
	kept := make([]report, 0, len(r.reports)+1) // never in place: the fleet before this one shares it
	for _, old := range r.reports {
		same := old.from == e.From && old.gateway == e.Gateway
		if same && old.at.After(at) {
			return // overtaken on the way
		}
		if !same && s.fresh(old.at) {
			kept = append(kept, old)
		}
	}
	if len(kept) >= maxVantages {
		return
	}
	kept = append(kept, report{e.From, e.Gateway, e.Failing, at})
	slices.SortFunc(kept, func(a, b report) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.gateway, b.gateway))
	})
	r.reports = kept
}

// confirmed reports whether enough vantages, this gateway's region among them, hold that r fails, and no
// majority of them holds that it does not. The gateways of one region are one vantage: they share its
// links, so together they see no more than one of them.
func (f *Fleet) confirmed(r *region) bool {
	if !f.failing(r) {
		return false
	}
	votes, against := f.votes(r)
	switch {
	case f.cfg.Vantages <= 1:
		return true
	case !against[0]:
		return false // this gateway's neighbours see what it does not
	}
	n := 0
	for _, failing := range against[:votes] {
		if failing {
			n++
		}
	}
	return n >= f.cfg.Vantages && n*2 > votes
}

// votes returns how many regions have an opinion of r and which of them hold that it fails, this
// gateway's own first. A region is of the opinion that more than half of its gateways are of.
func (f *Fleet) votes(r *region) (int, [MaxRegions + 1]bool) {
	var failing [MaxRegions + 1]bool
	votes := 1
	yes, all := 1, 1 // of this gateway's region, beginning with itself
	for _, v := range r.reports {
		if v.from == f.own && f.fresh(v.at) {
			all++
			yes += one(v.failing)
		}
	}
	failing[0] = yes*2 > all
	for i := 0; i < len(r.reports) && votes <= MaxRegions; {
		from := r.reports[i].from
		for yes, all = 0, 0; i < len(r.reports) && r.reports[i].from == from; i++ {
			if f.fresh(r.reports[i].at) {
				all++
				yes += one(r.reports[i].failing)
			}
		}
		if from != f.own && all > 0 {
			failing[votes] = yes*2 > all
			votes++
		}
	}
	return votes, failing
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

// isolated reports whether most of the other regions fail at once from here: more than half of them and
// at least two. Then it is more likely that this gateway is cut off. Regions that are off already do not
// count: others have agreed that they fail.
func (f *Fleet) isolated() bool {
	others, down := 0, 0
	for i := range f.regions {
		r := &f.regions[i]
		if r.name == f.own || r.ordered() || r.state == regions.Off {
			continue
		}
		others++
		down += one(f.down(r))
	}
	return down >= 2 && down*2 > others
}

// failure says how the checks failed.
func (f *Fleet) failure(r *region) string {
	how := "no healthy node"
	switch {
	case r.cut:
		how = "out of reach"
	case r.open:
		how = "breaker open"
	}
	if f.cfg.Failures == 1 {
		return "1 check failed here (" + how + ")"
	}
	return fmt.Sprintf("%d checks failed here (%s)", f.cfg.Failures, how)
}

// confirmers names the gateways that hold that r fails.
func (f *Fleet) confirmers(r *region) string {
	var names []string
	for _, v := range r.reports {
		if v.failing && f.fresh(v.at) {
			names = append(names, v.gateway)
		}
	}
	const most = 3
	switch {
	case len(names) == 0:
		return "as one vantage is enough"
	case len(names) > most:
		return fmt.Sprintf("confirmed by %s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return "confirmed by " + strings.Join(names, ", ")
}
