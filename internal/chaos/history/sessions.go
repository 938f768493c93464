package history

import (
	"maps"
	"slices"
	"time"
)

// SessionFigures are what a run measured of its sessions.
type SessionFigures struct {
	Class           string         `json:",omitempty"`
	Sessions        int            // opened, and told so by a gateway that may write
	Changes, Looks  int            // asked for
	Outcomes        map[string]int // of changes, by outcome
	LooksFailed     int
	Tail            int            // changes that a gateway accepted which may not write
	Asked, Answered int            // changes through winning gateways once the fault was handled, and those that were made
	Lost            int            // acknowledged changes and sessions that were gone
	LongestLoss     time.Duration  // how long before its fault the oldest of these was acknowledged
	MostLag         time.Duration  // that a gateway said
	Undecided       int            // histories that porcupine could not decide in time
	Owners          map[string]int // effects in sessions that any gateway serves, by the gateway that dispatched them
	Moves           int            // times that another gateway dispatched the next one
}

// sessions judges what agents saw of their sessions, each session by itself.
func (j *judge) sessions() {
	j.owners()
	if j.Sessions == nil {
		return
	}
	f := &j.figures.Sessions
	f.Class, f.Outcomes = j.Sessions.Class, map[string]int{}
	for _, l := range j.Sessions.Lags {
		f.MostLag = max(f.MostLag, l.Lag)
	}
	all := map[string][]*Op{}
	for i := range j.Sessions.Ops {
		o := &j.Sessions.Ops[i]
		all[o.Session] = append(all[o.Session], o)
		j.countOp(o)
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		j.session(name, all[name])
	}
	j.served()
}

func (j *judge) countOp(o *Op) {
	f := &j.figures.Sessions
	switch o.Kind {
	case Open:
		if o.promised() {
			f.Sessions++
		}
	case Look:
		f.Looks++
		if o.Outcome != OK {
			f.LooksFailed++
		}
	case Set:
		f.Changes++
		f.Outcomes[string(o.Outcome)]++
		if o.Outcome == OK && o.Minority {
			f.Tail++
		}
	}
}

// session judges one: nothing that was acknowledged is gone, and every item of a committed one is a register.
func (j *judge) session(name string, ops []*Op) {
	j.gone(name, ops)
	for _, item := range items(ops) {
		lost := j.lostChanges(name, item, ops)
		if j.Sessions.Class != Quorum || lost {
			continue
		}
		switch linearizable(item, ops) {
		case illegal:
			j.report(Linear, ops[len(ops)-1].Return, "%s of session %s is no register: looks contradict each other", item, name)
		case undecided:
			j.figures.Sessions.Undecided++
		}
	}
}

func items(ops []*Op) (names []string) {
	for _, o := range ops {
		if o.Kind == Set {
			names = append(names, o.Item)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// gone finds a session that was opened and is not known any more.
func (j *judge) gone(name string, ops []*Op) {
	opened := ops[0]
	for _, o := range ops {
		if o.Gone && opened.Kind == Open && opened.promised() {
			j.loss(opened, o, "session %s, opened by %s, is unknown to %s", name, opened.Gateway, o.Gateway)
			return
		}
	}
}

// lostChanges finds acknowledged changes that a later look does not show although nothing can have replaced them.
func (j *judge) lostChanges(name, item string, ops []*Op) (any bool) {
	told := map[*Op]bool{}
	for i, look := range ops {
		if look.Kind != Look || !look.promised() {
			continue
		}
		last, refused, ok := superseded(item, look, ops[:i])
		if ok && refused != nil {
			j.report(Denied, look.Return, "%s=%s of session %s shows at %s, and %s said (%d) that nothing was done", item, refused.Value, name, look.Gateway, refused.Gateway, refused.Code)
		}
		if ok || told[last] {
			continue
		}
		any, told[last] = true, true
		j.loss(last, look, "%s=%s of session %s was acknowledged by %s, and %s shows %q", item, last.Value, name, last.Gateway, look.Gateway, look.Seen[item])
	}
	return any
}

// superseded returns the last acknowledged change before a look, and whether what the look shows may be what was
// written by it or, at any time after, by one whose outcome nobody knows; if by none but one that was refused, that.
func superseded(item string, look *Op, before []*Op) (last, refused *Op, ok bool) {
	made := false
	for _, o := range slices.Backward(before) {
		if o.Kind != Set || o.Item != item {
			continue
		}
		if may := last == nil || !o.promised(); may && o.Value == look.Seen[item] {
			if o.Outcome == Refused {
				refused = o
			} else {
				made = true
			}
		}
		if last == nil && o.promised() {
			last = o
		}
	}
	if made || last == nil && look.Seen[item] == "" {
		return last, nil, true
	}
	return last, refused, refused != nil || last == nil
}

// loss notes something acknowledged that is gone. Of what is copied aside that may be, if it was acknowledged no
// longer before a fault than the lag that gateways have said.
func (j *judge) loss(what, seen *Op, format string, args ...any) {
	f := &j.figures.Sessions
	f.Lost++
	if j.Sessions.Class == Async {
		if age, ok := j.withinLag(what.Return, seen.Invoke); ok {
			f.LongestLoss = max(f.LongestLoss, age)
			return
		}
	}
	j.report(Lost, seen.Return, format, args...)
}

// withinLag reports how long before a fault something was acknowledged, and whether that is within what gateways said
// of their copies around that time. During a fault a gateway answers until its lease is over.
func (j *judge) withinLag(at, seen Time) (age time.Duration, ok bool) {
	for _, e := range j.Episodes {
		if e.Start > seen || e.Heal < at {
			continue
		}
		if age = max(0, e.Start-at); age == 0 {
			return 0, true
		}
		most := time.Duration(0)
		for _, l := range j.Sessions.Lags {
			if l.At >= at-j.Sessions.Sampling && l.At <= e.Heal {
				most = max(most, l.Lag)
			}
		}
		if age <= most+j.Sessions.Sampling+j.slack(at) {
			return age, true
		}
	}
	return 0, false
}

// served counts how many of the changes were made that winning gateways were asked for, once the fault was to be
// handled: a fleet that refuses everything loses nothing.
func (j *judge) served() {
	f := &j.figures.Sessions
	for i, e := range j.Episodes {
		parts, asked, answered := j.figures.Handlings[i].Parts, 0, 0
		for k := range j.Sessions.Ops {
			o := &j.Sessions.Ops[k]
			if o.Kind == Set && parts[o.Gateway] == Winning && o.Invoke >= e.Begin+j.Bounds.Handled && o.Return <= e.Heal {
				asked++
				if o.Outcome == OK {
					answered++
				}
			}
		}
		f.Asked, f.Answered = f.Asked+asked, f.Answered+answered
		if asked >= enoughAsked && answered == 0 {
			j.report(Available, e.Heal, "none of %d changes of sessions was made during %s, though nothing was between their gateways and what the rule asks for", asked, e.Name)
		}
	}
}

// enoughAsked changes without an answer are no accident.
const enoughAsked = 10
