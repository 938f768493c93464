package strategies

import (
	"cmp"
	"slices"
)

// Canonical returns a rule satisfied by exactly the same sets, in one form whatever order it was written in:
// thresholds over one member are that member, equal members of a threshold are one, no weight exceeds what is
// needed, weights have no common divisor, voters come before rules and both are sorted. Rules with one canonical
// form are the same; the reverse does not hold, as a voter whose weight never matters stays. r must be valid.
func (r Rule) Canonical() Rule {
	out := Rule{Need: r.Need, Members: make([]Part, len(r.Members))}
	for i, m := range r.Members {
		out.Members[i] = m.canonical()
	}
	out.merge()
	if len(out.Members) == 1 {
		return out.Members[0].alone()
	}
	out.reduce()
	return out
}

// canonical is the member with its rule in canonical form.
func (m Part) canonical() Part {
	if m.Rule == nil {
		return m
	}
	inner := m.Rule.Canonical()
	if len(inner.Members) == 1 {
		return Part{Weight: m.Weight, Voter: inner.Members[0].Voter}
	}
	m.Rule = &inner
	return m
}

// merge sorts the members, makes equal ones one, and cuts weights to what is needed.
func (r *Rule) merge() {
	slices.SortFunc(r.Members, comparePart)
	kept := r.Members[:0]
	for _, m := range r.Members {
		if n := len(kept); n > 0 && comparePart(kept[n-1], m) == 0 {
			kept[n-1].Weight += m.Weight
		} else {
			kept = append(kept, m)
		}
	}
	for i := range kept {
		kept[i].Weight = min(kept[i].Weight, r.Need)
	}
	r.Members = kept
}

// alone is the rule of a threshold's only member.
func (m Part) alone() Rule {
	if m.Rule != nil {
		return *m.Rule
	}
	return Single(m.Voter)
}

// reduce divides by the weights' common divisor; a need in between is rounded up, since only multiples are
// reached.
func (r *Rule) reduce() {
	d := 0
	for _, m := range r.Members {
		d = gcd(d, m.Weight)
	}
	for i := range r.Members {
		r.Members[i].Weight /= d
	}
	r.Need = (r.Need + d - 1) / d
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// comparePart orders members by what they are, voters by name and then rules, whatever their weights.
func comparePart(a, b Part) int {
	switch {
	case a.Rule == nil && b.Rule == nil:
		return cmp.Compare(a.Voter, b.Voter)
	case a.Rule == nil:
		return -1
	case b.Rule == nil:
		return 1
	}
	return compareRule(*a.Rule, *b.Rule)
}

// compareRule orders rules by what they are made of.
func compareRule(a, b Rule) int {
	return cmp.Or(cmp.Compare(a.Need, b.Need), slices.CompareFunc(a.Members, b.Members, func(a, b Part) int {
		return cmp.Or(comparePart(a, b), cmp.Compare(a.Weight, b.Weight))
	}))
}

// Equal reports whether two valid rules have one canonical form.
func (r Rule) Equal(o Rule) bool { return compareRule(r.Canonical(), o.Canonical()) == 0 }
