package discovery

import (
	"fmt"
	"slices"

	"github.com/quorate/quorate/regions"
)

// maxMoves bounds the rounds in which ids are handed on. Who has none by then keeps the one it has.
const maxMoves = 8

// joiner makes one set of what several hold. It keeps its memory from one run to the next.
type joiner struct {
	ids    map[regions.NodeID]int // who has an id: the index of a group
	groups []group
	refs   []ref
	open   []int // groups that were in the set before, whose id nobody calls them by
	out    []regions.Proposal

	prev      []regions.Proposal
	conflicts []Conflict
	refused   int
	over      int
}

// ref is one holder's claim; holders rank in order of precedence.
type ref struct {
	rank  int
	claim *claim
}

// group is all claims on one URL.
type group struct {
	from, to int // its refs
	best     int // the ref that describes it
	prev     int // its index in the set before, -1 for a newcomer
	id       regions.NodeID
	identity regions.Identity
	in       bool
	stuck    bool // it cannot have the id that it is called by
}

// each calls f for every URL that anybody holds, in order, with its claims by rank. refs are f's during the call.
func (j *joiner) each(all []*holding, f func(url string, refs []ref)) {
	at := make([]int, len(all))
	var refs []ref
	for {
		url, more := "", false
		for r, h := range all {
			if at[r] < len(h.claims) && (!more || h.claims[at[r]].URL < url) {
				url, more = h.claims[at[r]].URL, true
			}
		}
		if !more {
			return
		}
		refs = refs[:0]
		for r, h := range all {
			if at[r] < len(h.claims) && h.claims[at[r]].URL == url {
				refs = append(refs, ref{r, &h.claims[at[r]]})
				at[r]++
			}
		}
		f(url, refs)
	}
}

// run returns the set, by URL, that follows prev; it is overwritten by the next run.
func (j *joiner) run(all []*holding, prev []regions.Proposal, room int) []regions.Proposal {
	j.reset(all, prev)
	at := 0
	j.each(all, func(url string, refs []ref) {
		for at < len(prev) && prev[at].URL < url {
			at++
		}
		before := -1
		if at < len(prev) && prev[at].URL == url {
			before = at
		}
		j.group(all, refs, before)
	})
	j.keep()
	j.move(all)
	j.admit(all, room)
	for i := range j.groups {
		if g := &j.groups[i]; g.in {
			p := j.refs[g.best].claim.Proposal
			p.ID, p.Identity = g.id, g.identity
			j.out = append(j.out, p)
		}
	}
	return j.out
}

func (j *joiner) reset(all []*holding, prev []regions.Proposal) {
	clear(j.ids)
	j.groups, j.refs, j.open, j.out, j.conflicts = j.groups[:0], j.refs[:0], j.open[:0], j.out[:0], j.conflicts[:0]
	j.prev, j.refused, j.over = prev, 0, 0
	for _, h := range all {
		j.refused += h.refusal
		j.over += h.over
		j.conflicts = append(j.conflicts, h.refused[:min(len(h.refused), maxConflicts-len(j.conflicts))]...)
	}
}

// group joins the claims on one URL as far as they do not contradict each other.
func (j *joiner) group(all []*holding, refs []ref, prev int) {
	g := group{from: len(j.refs), to: len(j.refs) + len(refs), prev: prev}
	j.refs = append(j.refs, refs...)
	var inForce regions.Identity
	if prev >= 0 {
		inForce = j.prev[prev].Identity
	}
	g.identity = identityOf(refs, inForce)
	g.best = -1
	for i := g.from; i < g.to; i++ {
		c := j.refs[i].claim
		if c.refused = !c.Identity.None() && c.Identity != g.identity; c.refused {
			j.refuse(all, j.refs[i], "another source names another identity")
			continue
		}
		if g.best < 0 || unnamed(j.refs[g.best].claim) && !unnamed(c) {
			g.best = i
		}
	}
	j.groups = append(j.groups, g)
}

func unnamed(c *claim) bool { return c.disk || !c.left.IsZero() }

// identityOf returns the identity in force if anybody still names it, else the first that is named.
func identityOf(refs []ref, inForce regions.Identity) (first regions.Identity) {
	for _, named := range []bool{true, false} {
		for _, r := range refs {
			switch {
			case unnamed(r.claim) == named || r.claim.Identity.None():
			case r.claim.Identity == inForce:
				return inForce
			case first.None():
				first = r.claim.Identity
			}
		}
	}
	return first
}

// keep gives those that were in the set their ids again: where somebody calls them so, and where nobody has called
// them otherwise of late nor calls another URL so.
func (j *joiner) keep() {
	for i := range j.groups {
		g := &j.groups[i]
		if g.prev < 0 {
			continue
		}
		if id := j.prev[g.prev].ID; j.calls(g, id) {
			j.give(i, id)
		} else {
			j.open = append(j.open, i)
		}
	}
	if len(j.open) == 0 {
		return
	}
	free := make(map[regions.NodeID]int, len(j.open))
	for _, i := range j.open {
		if !j.renamed(&j.groups[i]) {
			free[j.prev[j.groups[i].prev].ID] = i
		}
	}
	for _, r := range j.refs {
		if !r.claim.refused {
			delete(free, r.claim.ID)
		}
	}
	for id, i := range free {
		j.give(i, id)
	}
}

// calls reports that a claim of g uses id.
func (j *joiner) calls(g *group, id regions.NodeID) bool {
	return slices.ContainsFunc(j.refs[g.from:g.to], func(r ref) bool { return !r.claim.refused && r.claim.ID == id })
}

// renamed reports that a source calls g by another id than it did.
func (j *joiner) renamed(g *group) bool {
	return slices.ContainsFunc(j.refs[g.from:g.to], func(r ref) bool { return !r.claim.refused && r.claim.renamed })
}

func (j *joiner) give(i int, id regions.NodeID) {
	j.ids[id] = i
	j.groups[i].id, j.groups[i].in = id, true
}

// move gives the others that were in the set the ids that they are called by now. Those whose ids are taken keep the
// ones they have: a quarrel over a name must not cost a node.
func (j *joiner) move(all []*holding) {
	for round := 1; len(j.open) > 0; round++ {
		j.open = slices.DeleteFunc(j.open, func(i int) bool { return j.groups[i].in })
		wanted := make(map[regions.NodeID]int, len(j.open))
		stuck := false
		for _, i := range j.open {
			g := &j.groups[i]
			id, ok := j.unused(g, wanted)
			if !ok || round > maxMoves {
				j.give(i, j.prev[g.prev].ID)
				g.stuck = true
				j.show(all, j.refs[g.best], "its id is taken; it stays "+string(g.id), false)
				stuck = true
				continue
			}
			wanted[id] = i
		}
		if stuck {
			continue
		}
		for id, i := range wanted {
			j.give(i, id)
		}
		return
	}
}

// unused returns the first id that g is called by and that nobody has, here or in also.
func (j *joiner) unused(g *group, also map[regions.NodeID]int) (regions.NodeID, bool) {
	for _, r := range j.refs[g.from:g.to] {
		_, taken := j.ids[r.claim.ID]
		_, wanted := also[r.claim.ID]
		if !r.claim.refused && !taken && !wanted {
			return r.claim.ID, true
		}
	}
	return "", false
}

// admit lets newcomers in while there is room, those that the first source describes first.
func (j *joiner) admit(all []*holding, room int) {
	for i := range j.groups {
		if j.groups[i].prev >= 0 {
			room--
		}
	}
	for rank := range all {
		for i := range j.groups {
			if g := &j.groups[i]; g.prev < 0 && j.refs[g.best].rank == rank {
				room -= j.welcome(all, i, room)
			}
		}
	}
	for i := range j.groups {
		g := &j.groups[i]
		for _, r := range j.refs[g.from:g.to] {
			r.claim.renamed = r.claim.renamed && g.stuck
		}
	}
}

// welcome returns how many came in.
func (j *joiner) welcome(all []*holding, i, room int) int {
	g := &j.groups[i]
	id, free := j.unused(g, nil)
	if free && room > 0 {
		j.give(i, id)
		return 1
	}
	for _, r := range j.refs[g.from:g.to] {
		switch {
		case r.claim.refused:
		case !free:
			j.refuse(all, r, "its id is that of another URL")
		default:
			j.over++
			j.refuse(all, r, noRoom)
		}
		r.claim.refused = true
	}
	return 0
}

const noRoom = "there are too many nodes"

func (j *joiner) refuse(all []*holding, r ref, cause string) {
	j.show(all, r, cause, true)
}

// show has a claim among the conflicts, of which only the first are worked out.
func (j *joiner) show(all []*holding, r ref, cause string, refused bool) {
	if refused {
		j.refused++
	}
	if len(j.conflicts) >= maxConflicts {
		return
	}
	if other, ok := j.ids[r.claim.ID]; ok && cause != noRoom {
		if url := j.refs[j.groups[other].from].claim.URL; url != r.claim.URL {
			cause = fmt.Sprintf("%s: %s", cause, clip(url, maxName))
		}
	}
	j.conflicts = append(j.conflicts, conflict(all[r.rank].id.Name, r.claim.Proposal, cause))
}
