package authority

import (
	"fmt"
	"slices"
)

func (w *world) violation(what string) {
	if w.found == "" {
		w.found = fmt.Sprintf("at %s: %s", w.now, what)
	}
}

// apply applies an entry to one copy of the state.
func (w *world) apply(m *Machine, i Index, c Command) []Event {
	events, _ := w.flaws.apply(m, i, c) // what is refused changes nothing, and is refused everywhere
	return events
}

// judgeEvent looks at what a committed entry did, at the moment of its commit.
func (w *world) judgeEvent(e Event) {
	w.seen[e.Kind.String()]++
	switch e.Kind {
	case Joined:
		w.lives = append(w.lives, e.Life)
	case Fenced, Left:
		if w.truth.s.Ruling.Joint() {
			w.seen["fenced in a change"]++
		}
		w.fenced[e.Life] = true
		for _, n := range w.nodes {
			if n.gate.Life() == e.Life && n.open() {
				w.violation(fmt.Sprintf("%s is %s and its gate is open", e.Life, e.Kind))
			}
		}
	case ChangeFinished:
		for _, n := range w.nodes {
			w.judgeGate(n)
		}
	}
	w.judgeOwners()
}

// judgeGate is called whenever a gate may have opened, or rests on other acks.
func (w *world) judgeGate(n *node) {
	if !n.open() {
		return
	}
	if w.fenced[n.gate.Life()] {
		w.violation(fmt.Sprintf("%s was fenced and its gate opens", n.gate.Life()))
	}
	mine, sat := w.fresh(n), w.table(&n.gate.ruling)
	for _, o := range w.nodes {
		if o == n || !o.open() {
			continue
		}
		theirs, osat := w.fresh(o), w.table(&o.gate.ruling)
		for a := mine; a > 0; a = (a - 1) & mine {
			if sat[a] && osat[theirs&^a] {
				w.violation(fmt.Sprintf("%s of rule %d rests on %03b and %s of rule %d on %03b", n.gate.Life(), n.gate.Version(), a, o.gate.Life(), o.gate.Version(), theirs&^a))
				return
			}
		}
	}
}

// fresh is the set of voters whose acks count at a gate now, as bits by their place in w.voters.
func (w *world) fresh(n *node) (set uint32) {
	for i, v := range w.voters {
		if n.gate.until[v] > n.mono() {
			set |= 1 << i
		}
	}
	return set
}

// table says which sets of voters satisfy the ruling.
func (w *world) table(r *Ruling) []bool {
	key := [2]Version{r.Version, Version(r.Barrier)}
	t, ok := w.tables[key]
	for s := range uint32(1 << len(w.voters)) {
		if ok {
			break
		}
		t = append(t, r.Satisfied(func(v VoterID) bool { return s>>slices.Index(w.voters, v)&1 == 1 }))
	}
	w.tables[key] = t
	return t
}

// among is the set of voters that are these nodes now.
func (w *world) among(is func(*node) bool) (set uint32) {
	for i, v := range w.voters {
		if slices.ContainsFunc(w.nodes, func(n *node) bool { return n.id == v && n.voter != nil && is(n) }) {
			set |= 1 << i
		}
	}
	return set
}

// expect is whether a gate ought to be open while the links are as they are and nothing else happens.
func (w *world) expect(n *node) bool {
	return w.table(&w.truth.s.Ruling)[w.among(func(v *node) bool { return w.linked(n, v) })]
}
