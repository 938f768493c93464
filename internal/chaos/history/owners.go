package history

// owners judges the effects of calls in sessions that any gateway may serve, by the nodes' journals: once another
// gateway has dispatched a call of a session, no earlier call of that session is dispatched by the one before, and no
// older epoch is named. An agent makes one call after the other, so that the order of its calls is known.
func (j *judge) owners() {
	latest := map[string]Effect{} // by session: the effect of the latest call
	f := &j.figures.Sessions
	for _, e := range j.byTime {
		c := j.calls[e.Call]
		if c == nil || c.Session == "" {
			continue
		}
		if f.Owners == nil {
			f.Owners = map[string]int{}
		}
		f.Owners[e.Gateway]++
		before, ok := latest[c.Session]
		if !ok {
			latest[c.Session] = e
			continue
		}
		if before.Gateway != e.Gateway && !j.pastGate(e) {
			j.twoOwners(before, e, c)
		}
		if j.calls[before.Call].Invoke <= c.Invoke {
			if before.Gateway != e.Gateway {
				f.Moves++
			}
			latest[c.Session] = e
		}
	}
}

// twoOwners judges an effect after one of another gateway.
func (j *judge) twoOwners(before, e Effect, c *Call) {
	switch {
	case c.Invoke < j.calls[before.Call].Invoke:
		j.report(Owner, e.At, "%s wrote in session %s, whose next call %s had executed", e.Gateway, c.Session, before.Gateway)
	case e.Fence != 0 && e.Fence < before.Fence:
		j.report(Owner, e.At, "%s wrote in session %s under epoch %d after %s had under %d", e.Gateway, c.Session, e.Fence, before.Gateway, before.Fence)
	}
}
