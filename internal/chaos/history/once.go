package history

import "cmp"

// once judges every call against the journals.
func (j *judge) once() {
	ran := map[string][]Effect{}
	for _, e := range j.byTime {
		ran[e.Call] = append(ran[e.Call], e)
	}
	for id, all := range ran {
		c := j.calls[id]
		switch {
		case c == nil:
			j.report(Once, all[0].At, "call %s was executed and nobody made it", id)
		case len(all) > 1 && !c.Again:
			j.report(Once, all[1].At, "call %s was executed %d times, on %s and %s", id, len(all), all[0].Node, all[1].Node)
		}
	}
	for _, c := range j.Calls {
		if c.Kind != Write {
			continue
		}
		all := ran[c.ID]
		switch {
		case c.Outcome == Refused && len(all) > 0:
			j.report(Once, c.Return, "call %s was executed on %s though its agent was told that nothing ran (%d)", c.ID, all[0].Node, c.Code)
		case c.Outcome == OK && !ended(all):
			j.report(Once, c.Return, "call %s was answered and is in no journal", c.ID)
		}
	}
}

func ended(all []Effect) bool {
	for _, e := range all {
		if e.Done {
			return true
		}
	}
	return false
}

// fences judges the epochs that effects carry. Each is an entry of the log; and a node that refuses old ones never
// accepts one after a newer. Such a node takes the time of an effect as it looks at its fence, so that the order of
// times is the order of its decisions.
func (j *judge) fences() {
	newest := map[string]Effect{}
	for _, e := range j.byTime {
		if j.LastIndex > 0 && e.Fence > j.LastIndex {
			j.report(Fences, e.At, "%s wrote under an epoch beyond the log's %d entries", e.Gateway, j.LastIndex)
		}
		if !e.Checked || e.Fence == 0 {
			continue
		}
		if before, ok := newest[e.Node]; ok && cmp.Less(e.Fence, before.Fence) {
			j.report(Fences, e.At, "%s accepted fence %d of %s after %d of %s", e.Node, e.Fence, e.Gateway, before.Fence, before.Gateway)
			continue
		}
		newest[e.Node] = e
	}
}
