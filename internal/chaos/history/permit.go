package history

import "github.com/quorate/quorate/strategies"

// closed judges every effect by itself: the voters that its gateway may have heard from within a lease must satisfy
// the rule. It holds for any faults, since all that it looks at is which lines were open and which processes ran.
func (j *judge) closed() {
	for _, e := range j.byTime {
		s := j.evidence(e.Gateway, e.At)
		if j.satisfied(s, e.At-j.window(e.At), e.At) {
			continue
		}
		if j.pastGate(e) {
			j.figures.PastGate++
			continue
		}
		j.figures.Stale++
		j.report(Closed, e.At, "%s wrote while it can have had the promises of %s at most%s",
			e.Gateway, j.names(s), j.during(e.At))
	}
}

// pastGate reports whether the effect is of a call that was in its gateway when that was stopped, or that its node
// could not see for being stopped: it had passed the gate, and nothing but the node itself can tell that it is late.
func (j *judge) pastGate(e Effect) bool {
	c := j.calls[e.Call]
	if c == nil {
		return false
	}
	if !j.tracks.of(e.Node, e.Node).through(c.Invoke, e.At) {
		return true
	}
	for _, s := range j.Changes {
		if s.Stop && s.Down && s.From == e.Gateway && c.Invoke <= s.At && s.At <= e.At {
			return true
		}
	}
	return false
}

// during names the episode of a time.
func (j *judge) during(at Time) string {
	for _, e := range j.Episodes {
		if at >= e.Begin && at <= e.Heal {
			return " during " + e.Name
		}
	}
	return ""
}

// rest is what one gateway's writes of one moment may rest on.
type rest struct {
	gateway string
	set     strategies.Set
	at      Time
}

// exclusive judges effects against each other, whatever the rule is: within one lease no two of them may rest on
// disjoint sets of voters. A rule that changes in between takes longer than a lease.
func (j *judge) exclusive() {
	latest := map[string]rest{} // by gateway: what stands longest in the way of others is its newest
	for _, e := range j.byTime {
		now := rest{e.Gateway, j.evidence(e.Gateway, e.At), e.At}
		for _, other := range latest {
			if other.set&now.set == 0 && now.at-other.at <= j.Bounds.Lease && !j.pastGate(e) {
				first, second := other, now
				if second.gateway < first.gateway {
					first, second = second, first
				}
				j.report(Exclusive, e.At, "%s wrote on %s and %s on %s at one time%s", first.gateway, j.names(first.set),
					second.gateway, j.names(second.set), j.during(e.At))
			}
		}
		if !j.pastGate(e) {
			latest[e.Gateway] = now
		}
	}
}
