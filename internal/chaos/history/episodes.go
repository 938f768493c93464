package history

import (
	"time"

	"github.com/quorate/quorate/strategies"
)

// Part is what an episode did to one gateway.
type Part string

// The parts.
const (
	Winning Part = "winning" // nothing is between it and voters that satisfy the rule
	Losing  Part = "losing"  // it cannot hear from voters that satisfy the rule
	Neither Part = "neither" // it may or may not, such as under flaps, or it does not run
)

// Handling is what an episode showed. Times are since its begin, or since its heal; -1 means never.
type Handling struct {
	Name    string          `json:"name"`
	Begin   Time            `json:"begin"`
	Heal    Time            `json:"heal"`
	Parts   map[string]Part `json:"parts"`
	Losers  int             `json:"losers"`
	Winners int             `json:"winners"`
	// LastLosing is the last effect through a losing gateway, FirstWinning the first write through a winning one that
	// was both asked for and answered after the begin.
	LastLosing   time.Duration `json:"last_losing"`
	FirstWinning time.Duration `json:"first_winning"`
	// Asked is how many writes losing gateways were asked for once their lease was over. Without any, nothing is shown.
	Asked int `json:"asked"`
	// Recovered is when the last gateway wrote again, since the heal.
	Recovered time.Duration `json:"recovered"`
	Terms     int           `json:"terms"` // changes of the control group's term
}

// Handled is when the episode's fault was behind: nobody writes who must not, and somebody who may.
func (h Handling) Handled() time.Duration { return max(h.LastLosing, h.FirstWinning) }

// never is no time at all.
const never = time.Duration(-1)

func (j *judge) episodes() {
	for _, e := range j.Episodes {
		h := Handling{Name: e.Name, Begin: e.Begin, Heal: e.Heal, Terms: e.Terms, Parts: map[string]Part{}, LastLosing: never, FirstWinning: never, Recovered: never}
		for _, g := range j.serving() {
			part := j.part(g, e)
			h.Parts[g] = part
			switch part {
			case Losing:
				h.Losers++
			case Winning:
				h.Winners++
			}
		}
		j.lost(&h, e)
		j.won(&h, e)
		j.demands(e)
		if e.Whole {
			j.recovered(&h, e)
		}
		j.figures.Handlings = append(j.figures.Handlings, h)
	}
}

// part says what the episode does to a gateway, by the lines alone.
func (j *judge) part(g string, e Episode) Part {
	if j.satisfiedAlways(g, e) {
		return Winning
	}
	if s := j.reach(g, e); !j.satisfied(s, e.Begin, e.Heal) {
		return Losing
	}
	return Neither
}

// reach is who g may hear from at any time of the episode.
func (j *judge) reach(g string, e Episode) (s strategies.Set) {
	for i, v := range j.voter {
		if j.tracks.mayAck(g, v, e.Begin+1, e.Heal-1) {
			s |= 1 << i
		}
	}
	return s
}

// satisfiedAlways reports whether g hears from voters that satisfy every rule of the episode, all the time.
func (j *judge) satisfiedAlways(g string, e Episode) bool {
	if !j.tracks.of(g, g).through(e.Begin, e.Heal-1) {
		return false
	}
	var s strategies.Set
	for i, v := range j.voter {
		if j.tracks.mustAck(g, v, e.Begin, e.Heal-1) {
			s |= 1 << i
		}
	}
	for _, r := range j.rules {
		if r.From <= e.Heal && (r.Until == 0 || r.Until >= e.Begin) && !r.rule.Satisfied(func(v string) bool { return j.has(s, v) }) {
			return false
		}
	}
	return len(j.rules) > 0
}

// lost measures the losing side.
func (j *judge) lost(h *Handling, e Episode) {
	for _, x := range j.byTime {
		if h.Parts[x.Gateway] == Losing && x.At >= e.Begin && x.At < e.Heal && !j.pastGate(x) {
			h.LastLosing = max(h.LastLosing, x.At-e.Begin)
		}
	}
	for i := range j.Calls {
		if c := &j.Calls[i]; c.Kind == Write && h.Parts[c.Gateway] == Losing && c.Invoke > e.Begin+j.Bounds.Lease+j.Bounds.Slack && c.Invoke < e.Heal {
			h.Asked++
		}
	}
}

// won measures and judges the side that may write.
func (j *judge) won(h *Handling, e Episode) {
	for i := range j.Calls {
		c := &j.Calls[i]
		if c.Kind != Write || c.Outcome != OK || h.Parts[c.Gateway] != Winning || c.Invoke < e.Begin || c.Return > e.Heal {
			continue
		}
		if d := c.Return - e.Begin; h.FirstWinning == never || d < h.FirstWinning {
			h.FirstWinning = d
		}
	}
	if h.FirstWinning == never && e.Heal-e.Begin >= j.Bounds.Handled && j.anyBack(h, e) {
		j.report(Available, e.Heal, "nobody could write during %s, though nothing was between %s and what the rule asks for", e.Name, winners(h))
	}
}

// anyBack reports whether a gateway of the side that may write wrote between the heal before and this fault. One that was
// started anew and had no life yet cannot have one while the control group has no majority; whether it comes back at all is
// judged after the last heal.
func (j *judge) anyBack(h *Handling, e Episode) bool {
	healed := Time(0)
	for _, o := range j.Episodes {
		if o.Heal <= e.Begin {
			healed = max(healed, o.Heal)
		}
	}
	for g, p := range h.Parts {
		if p == Winning && j.firstWrite(g, healed, e.Begin) != never {
			return true
		}
	}
	return false
}

func winners(h *Handling) (names string) {
	for g, p := range h.Parts {
		if p == Winning && (names == "" || g < names) {
			names = g
		}
	}
	return names
}

// recovered measures and judges the heal: every gateway writes, and is not refused once the time for it is over.
func (j *judge) recovered(h *Handling, e Episode) {
	until := e.Quiet
	for _, g := range j.serving() {
		first := j.firstWrite(g, e.Heal, until)
		switch {
		case first == never && until-e.Heal < j.Bounds.Converge:
			// The run was cut short: nothing can be said.
		case first == never:
			j.report(Converged, until, "%s did not write again within %s of the heal of %s", g, until-e.Heal, e.Name)
		case first > j.Bounds.Converge:
			j.report(Converged, e.Heal+first, "%s wrote again only %s after the heal of %s", g, first.Round(time.Millisecond), e.Name)
		}
		h.Recovered = max(h.Recovered, first)
	}
	for i := range j.Calls {
		c := &j.Calls[i]
		if c.Kind == Write && c.Outcome == Refused && c.Invoke > e.Heal+j.Bounds.Converge && c.Return < until {
			j.report(Converged, c.Return, "%s refuses writes (%d) later than %s after the heal of %s", c.Gateway, c.Code, j.Bounds.Converge, e.Name)
		}
	}
}

// firstWrite is when g first answered a write that was asked for after a time, since then.
func (j *judge) firstWrite(g string, from, until Time) time.Duration {
	first := never
	for i := range j.Calls {
		c := &j.Calls[i]
		if c.Kind == Write && c.Gateway == g && c.Outcome == OK && c.Invoke >= from && c.Return <= until {
			if d := c.Return - from; first == never || d < first {
				first = d
			}
		}
	}
	return first
}
