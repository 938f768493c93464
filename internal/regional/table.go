package regional

import (
	"cmp"
	"slices"
	"time"

	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/failover"
)

// Regions returns all regions, this gateway's own included, for the next table.
func (d *Driver) Regions() []regions.Region {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.table()
}

func (d *Driver) table() []regions.Region {
	all := d.fleet.Regions()
	out := make([]regions.Region, len(all))
	for i, s := range all {
		out[i] = d.region(s)
	}
	return out
}

func (d *Driver) region(s failover.Status) regions.Region {
	r := regions.Region{Name: s.Name, State: s.State, Share: s.Share, Barred: s.Barred, Cause: s.Cause}
	if s.Name == d.cfg.Region {
		r.Capacity = d.capacity
		return r
	}
	remote := d.remotes[s.Name]
	r.Via, r.Capacity = remote.Via, remote.Capacity
	r.RTT, r.Class = remote.Seed, d.cfg.Bounds.Of(remote.Seed)
	if e, ok := d.seen[s.Name]; ok && e.RTT > 0 {
		r.RTT, r.Class = e.RTT, min(e.Class, regions.Beyond)
	}
	return r
}

// moved reports whether the table should be built anew: a region has changed, or its distance has by so
// much that the order of regions may have. It remembers what it has reported.
func (d *Driver) moved() bool {
	now := d.table()
	if slices.EqualFunc(now, d.told, alike) && slices.Equal(byDistance(now), byDistance(d.told)) {
		return false
	}
	d.told = now
	return true
}

func alike(a, b regions.Region) bool {
	near := func(x, y time.Duration) bool { return x-y <= y/10 && y-x <= y/10 }
	if !near(a.RTT, b.RTT) {
		return false
	}
	a.RTT = b.RTT
	return a == b
}

// byDistance returns the names, the nearest first.
func byDistance(all []regions.Region) []string {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b regions.Region) int {
		return cmp.Or(cmp.Compare(a.RTT, b.RTT), cmp.Compare(a.Name, b.Name))
	})
	out := make([]string, len(all))
	for i := range all {
		out[i] = all[i].Name
	}
	return out
}
