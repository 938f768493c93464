package committed

import (
	"cmp"
	"slices"
)

// forgotten is the part of the remembered deletions that goes when there are too many: one in ten.
const forgotten = 10

// forget lets go of deletions of long ago when too many are remembered. By then the changes that they are remembered
// for have long been applied or lost: those that came after were all of a later entry.
func (p *Part) forget() {
	if len(p.records)-p.live <= p.maxDeleted {
		return
	}
	var all []*entry
	for _, e := range p.records {
		if e.Deleted {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b *entry) int { return cmp.Or(cmp.Compare(a.at, b.at), a.compare(b)) })
	for _, e := range all[:max(1, len(all)/forgotten)] {
		p.remove(e)
	}
}

// compare orders entries by key.
func (e *entry) compare(o *entry) int {
	return cmp.Or(cmp.Compare(e.Kind, o.Kind), cmp.Compare(e.ID, o.ID))
}
