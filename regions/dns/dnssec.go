package dns

import "slices"

// noAD is why an answer does not count that a validating resolver would have marked.
const noAD = "no AD"

// sift returns the views as far as they may count under mode, and for those that may not at all the reason.
func sift(views []view, mode Validation) (sifted []view, uncounts []string) {
	sifted, uncounts = slices.Clone(views), make([]string, len(views))
	if mode != Require && (mode != Prefer || !validates(views)) {
		return sifted, uncounts
	}
	settled := judged(views)
	for i, v := range views {
		switch {
		case v.outcome > nxdomain: // no answer to count
		case mode == Require && !v.who.trusted:
			uncounts[i] = "it is not trusted to validate"
		case !v.ad:
			uncounts[i] = noAD
		default:
			sifted[i].endpoints, sifted[i].unsigned = sound(v.endpoints, mode, settled)
		}
	}
	return sifted, uncounts
}

// validates reports whether a trusted resolver validated the answer, found it bogus, or validated that there is none.
func validates(views []view) bool {
	return slices.ContainsFunc(views, func(v view) bool {
		return v.who.trusted && (v.outcome == bogus || v.outcome <= nxdomain && v.ad)
	})
}

// judged are the endpoints whose addresses a trusted resolver validated or found bogus.
func judged(views []view) map[key]bool {
	keys := map[key]bool{}
	for _, v := range views {
		for _, e := range v.endpoints {
			if v.who.trusted && v.ad && (e.secure || e.bogus) {
				keys[e.key] = true
			}
		}
	}
	return keys
}

// sound returns endpoints without the addresses that came without the AD bit: all such with Require, otherwise those
// of endpoints whose addresses are judged. It reports whether there were any.
func sound(endpoints []endpoint, mode Validation, settled map[key]bool) (kept []endpoint, unsigned bool) {
	kept = slices.Clone(endpoints)
	for i, e := range kept {
		if !e.secure && len(e.addrs) > 0 && (mode == Require || settled[e.key]) {
			kept[i].addrs, unsigned = nil, true
		}
	}
	return kept, unsigned
}
