package regions

// Choice is one region that a request may use.
type Choice struct {
	Region int     // index in Table.Regions
	Weight float64 // probability that it is tried first; the choices of a plan sum to 1
	Share  float64 // the region's own
	Slower bool    // slower than the request asked for
}

// Plan is the regions that requests of one class and spill policy may use, the preferred first: the
// gateway's own region, then the others by distance. Regions without a share come after all that have
// one, with weight 0: they are for a request that nobody else can take. A barred region is in no plan.
type Plan []Choice

// plan orders regions, which must be sorted as in Table.Regions. A region gets its share of what those
// before it leave; what is left at the end goes to all in proportion.
func plan(regions []Region, c Class, s Spill) Plan {
	var first, last Plan
	slowest, left := s.Slowest(c), 1.0
	for i := range regions {
		r := &regions[i]
		switch {
		case r.Barred || r.Class > slowest:
		case r.Share <= 0:
			last = append(last, Choice{Region: i, Share: r.Share, Slower: r.Class > c})
		default:
			w := left * min(r.Share, 1)
			left -= w
			first = append(first, Choice{Region: i, Weight: w, Share: r.Share, Slower: r.Class > c})
		}
	}
	given := 1 - left
	for i := range first {
		first[i].Weight /= given
	}
	if len(first) == 0 && len(last) > 0 {
		last[0].Weight = 1
	}
	return append(first, last...)
}

// First returns the index of the choice that a draw, uniform in [0,1), falls on, or -1 for an empty plan.
// It allocates nothing.
func (p Plan) First(draw float64) int {
	for i := range p {
		if draw < p[i].Weight {
			return i
		}
		draw -= p[i].Weight
	}
	for i := range p { // rounding left a crumb
		if p[i].Weight > 0 {
			return i
		}
	}
	return len(p) - 1
}
