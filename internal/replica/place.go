package replica

import (
	"slices"
	"time"
)

// Place is a gateway that may hold copies.
type Place struct {
	Gateway, Region string
	Up              bool // it can be asked now
	RTT             time.Duration
}

// patience is how long a place that cannot be reached keeps its rank. New changes go to the next in rank at once; all
// that it holds is copied elsewhere only when it stays away.
const patience = 10 * time.Second

// placesOf returns which gateways hold the copies of an owner's records in a slot: by rendezvous hash, those in regions
// of their own first, the owner's region last. It is a function of its arguments alone, so that every gateway finds the
// same; when a gateway leaves, only what it held moves.
func placesOf(slot int, owner, region string, places []Place, copies int) []string {
	ranked := make([]Place, 0, len(places))
	for _, p := range places {
		if p.Gateway != owner {
			ranked = append(ranked, p)
		}
	}
	slices.SortFunc(ranked, func(a, b Place) int { return byRank(slot, a.Gateway, b.Gateway) })
	chosen := make([]string, 0, copies)
	used := map[string]bool{region: true}
	take := func(fits func(Place) bool) {
		for i := 0; i < len(ranked) && len(chosen) < copies; i++ {
			if p := ranked[i]; fits(p) {
				chosen, used[p.Region] = append(chosen, p.Gateway), true
				ranked = slices.Delete(ranked, i, i+1)
				i--
			}
		}
	}
	take(func(p Place) bool { return !used[p.Region] })
	take(func(p Place) bool { return p.Region != region })
	take(func(Place) bool { return true })
	return chosen
}

func byRank(slot int, a, b string) int {
	x, y := weight(slot, a), weight(slot, b)
	switch {
	case x > y:
		return -1
	case x < y:
		return 1
	case a < b:
		return -1
	}
	return 1
}

func weight(slot int, gateway string) uint64 { return hashOf(0, gateway, uint64(slot)) }

// view is what this gateway sees of the places. It is never changed.
type view struct {
	places  []Place   // all but this gateway
	self    bool      // this gateway is one of them
	up      []Place   // with this gateway
	lasting []Place   // with this gateway, and those that have been away for less than patience
	live    *placings // by up: where new changes go
	kept    *placings // by lasting: where records should be
}

func (v *view) isUp(gateway string) bool {
	return slices.ContainsFunc(v.up, func(p Place) bool { return p.Gateway == gateway })
}

// others reports how many other places are up.
func (v *view) others() int { return len(v.up) - 1 }
