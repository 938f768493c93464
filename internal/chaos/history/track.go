package history

import "sort"

// track is when one thing was up: a process, or one direction of a link. It begins up.
type track []toggle

type toggle struct {
	at Time
	up bool
}

// add notes a change; times never go back.
func (t *track) add(at Time, up bool) { *t = append(*t, toggle{at, up}) }

// at reports whether it was up just after a time.
func (t track) at(when Time) bool {
	i := sort.Search(len(t), func(i int) bool { return t[i].at > when })
	return i == 0 || t[i-1].up
}

// first returns the earliest time in [from, until] at which it was up.
func (t track) first(from, until Time) (Time, bool) {
	if t.at(from) {
		return from, true
	}
	for _, c := range t {
		if c.up && c.at >= from && c.at <= until {
			return c.at, true
		}
	}
	return 0, false
}

// last returns the latest time in [from, until] at which it was up.
func (t track) last(from, until Time) (Time, bool) {
	if t.at(until) {
		return until, true
	}
	for i := len(t) - 1; i >= 0; i-- {
		if !t[i].up && t[i].at >= from && t[i].at <= until && t[:i].at(t[i].at) {
			return t[i].at, true
		}
	}
	return 0, false
}

// through reports whether it was up all the time.
func (t track) through(from, until Time) bool {
	if !t.at(from) {
		return false
	}
	for _, c := range t {
		if !c.up && c.at >= from && c.at <= until {
			return false
		}
	}
	return true
}

// tracks are those of a whole history, by the two ends; a process has its name twice.
type tracks map[[2]string]*track

func follow(changes []Change) tracks {
	all := tracks{}
	for _, c := range changes {
		key := [2]string{c.From, c.To}
		if c.To == "" {
			key[1] = c.From
		}
		if all[key] == nil {
			all[key] = new(track)
		}
		all[key].add(c.At, !c.Down)
	}
	return all
}

func (t tracks) of(from, to string) track {
	if p := t[[2]string{from, to}]; p != nil {
		return *p
	}
	return nil
}

// mayAck reports whether a heartbeat of g that was sent in [from, until] may have been acknowledged by v to g in
// that time: too much rather than too little. The two ways need not have been open at once, only in that order: what
// a line lost is sent again when it heals.
func (t tracks) mayAck(g, v string, from, until Time) bool {
	if g == v {
		_, ok := t.of(g, g).first(from, until)
		return ok
	}
	there, ok := t.of(g, v).first(from, until)
	if !ok {
		return false
	}
	back, ok := t.of(v, g).last(there, until)
	if !ok {
		return false
	}
	_, ok = t.of(v, v).first(there, back)
	return ok
}

// mustAck reports whether nothing was between g and v all the time: too little rather than too much.
func (t tracks) mustAck(g, v string, from, until Time) bool {
	return t.of(g, v).through(from, until) && t.of(v, g).through(from, until) &&
		t.of(v, v).through(from, until) && t.of(g, g).through(from, until)
}
