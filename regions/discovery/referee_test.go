package discovery

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/quorate/quorate/regions"
)

const (
	ruleLost   = "a node that somebody holds stays in the set unless it fails verification for the bound"
	ruleUnique = "no id and no URL twice, in order of ids"
	ruleRoom   = "never more nodes than there is room for"
	ruleHeard  = "what the last good answer of a source names is held by it, or refused and shown"
	ruleID     = "a node keeps its id while anybody who holds it calls it so"
	ruleTold   = "Changed says whether the set differs"
	ruleHolder = "every node of the set is held by somebody who named it"
)

// referee knows the rules, and of the Keeper only what it shows.
type referee struct {
	named   map[string]map[string]regions.NodeID // by source and URL: the last good answer
	ever    map[string]map[string]bool           // by source and URL: what it named since it was configured
	keys    map[string]string
	broken  map[string]int
	example map[string]string
	seen    map[string]int
	retired time.Time // when sources came or left last
}

func newReferee() *referee {
	return &referee{named: map[string]map[string]regions.NodeID{}, ever: map[string]map[string]bool{}, keys: map[string]string{},
		broken: map[string]int{}, example: map[string]string{}, seen: map[string]int{}}
}

func (r *referee) breach(rule, format string, args ...any) {
	if r.broken[rule]++; r.broken[rule] == 1 {
		r.example[rule] = fmt.Sprintf(format, args...)
	}
}

// judge looks at what a step did, and returns what there is after it.
func (r *referee) judge(w *world, s step, before Status, m machine, o Outcome) (after Status) {
	after = m.Status()
	r.learn(w, s, before)
	r.set(m, before, after, s, o)
	r.lost(w, s, before, after)
	r.heard(after)
	r.names(before, after)
	return after
}

// learn keeps what the sources said.
func (r *referee) learn(w *world, s step, before Status) {
	switch {
	case s.configure != nil || s.restart:
		keys := map[string]string{}
		for _, id := range w.sources {
			keys[id.Name] = id.Key
			if key, ok := r.keys[id.Name]; !ok || key != id.Key {
				delete(r.named, id.Name)
				delete(r.ever, id.Name)
			}
			if s.restart {
				delete(r.named, id.Name)
			}
		}
		if !maps.Equal(keys, r.keys) {
			r.retired = s.now
		}
		r.keys = keys
	case s.answer != nil && s.answer.Err == nil && (len(s.answer.Nodes) > 0 || s.answer.Removes || !holds(before, s.source)):
		named := map[string]regions.NodeID{}
		if r.ever[s.source] == nil {
			r.ever[s.source] = map[string]bool{}
		}
		for _, p := range s.answer.Nodes {
			named[p.URL], r.ever[s.source][p.URL] = p.ID, true
		}
		r.named[s.source] = named
	}
}

// holds reports that a source holds anything: from one that does not, an empty answer is as good as any.
func holds(st Status, source string) bool {
	return slices.ContainsFunc(st.Sources, func(h SourceStatus) bool { return h.Name == source && h.Held > 0 })
}

func (r *referee) set(m machine, before, after Status, s step, o Outcome) {
	nodes := m.Nodes()
	ids, urls := map[regions.NodeID]bool{}, map[string]bool{}
	for i, n := range nodes {
		if ids[n.ID] || urls[n.URL] || i > 0 && nodes[i-1].ID > n.ID {
			r.breach(ruleUnique, "%v", nodes)
		}
		ids[n.ID], urls[n.URL] = true, true
	}
	if len(nodes) > simRoom {
		r.breach(ruleRoom, "%d", len(nodes))
	}
	same := slices.EqualFunc(before.Nodes, after.Nodes, func(a, b NodeStatus) bool { return a.Proposal == b.Proposal })
	if !s.restart && same == o.Changed {
		r.breach(ruleTold, "%+v: %v, %v then %v", s, o.Changed, before.Nodes, after.Nodes)
	}
	for _, n := range after.Nodes {
		if len(n.Holders) == 0 {
			r.breach(ruleHolder, "%+v", n)
		}
		if len(n.Holders) > 1 {
			r.seen["held by two"]++
		}
		for _, h := range n.Holders {
			r.note(h)
			if !h.Disk && h.Source != Disk && h.Source != Retired && !r.ever[h.Source][n.URL] {
				r.breach(ruleHolder, "%s never named %s", h.Source, n.URL)
			}
		}
	}
}

func (r *referee) note(h Holder) {
	for what, is := range map[string]bool{"retired": h.Source == Retired, "disk": h.Source == Disk, "stale": h.Stale, "no longer named": !h.Left.IsZero()} {
		if is {
			r.seen[what]++
		}
	}
}

// lost looks for nodes that went though somebody held them.
func (r *referee) lost(w *world, s step, before, after Status) {
	in := map[string]bool{}
	for _, n := range after.Nodes {
		in[n.URL] = true
	}
	for _, n := range before.Nodes {
		if in[n.URL] {
			delete(in, n.URL)
			continue
		}
		for _, h := range n.Holders {
			if why := r.mayGo(w, s, n, h); why == "" {
				r.breach(ruleLost, "%s, held by %+v, is gone after %+v %+v", n.URL, n.Holders, s, s.answer)
			} else {
				r.seen[why]++
				if why == "expired" {
					for _, named := range r.named {
						delete(named, n.URL) // no fresh answer names it, so what stale ones said goes too
					}
				}
			}
		}
	}
	r.seen["joined"] += len(in)
}

// mayGo says why a holder may have let a node go with this step, "" if it may not.
func (r *referee) mayGo(w *world, s step, n NodeStatus, h Holder) string {
	since, down := w.down[n.URL]
	_, configured := r.keys[h.Source]
	if h.Source == Retired || h.Source == Disk {
		switch {
		case s.configure != nil:
			return "wait over"
		case s.answer != nil && s.answer.Err == nil && (s.answer.Removes || h.Source == Retired && len(s.answer.Nodes) > 0):
			return "wait over"
		case s.answer != nil && slices.ContainsFunc(s.answer.Nodes, func(p regions.Proposal) bool { return p.ID == n.ID }):
			return "moved"
		case h.Source == Retired && (s.expire || s.answer != nil && s.answer.Err == nil) && s.now.Sub(r.retired) >= simBound:
			return "wait over"
		}
	}
	switch {
	case s.expire && down && s.now.Sub(since) > simBound && !r.fresh(n):
		return "expired"
	case s.configure != nil && !configured:
		return "unconfigured"
	case s.configure != nil && r.named[h.Source] == nil:
		return "replaced"
	case s.restart: // everything is on disk
		return ""
	case s.source != h.Source || s.answer == nil || s.answer.Err != nil:
		return ""
	case s.answer.Removes:
		return "deregistered"
	case slices.ContainsFunc(s.answer.Nodes, func(p regions.Proposal) bool { return p.ID == h.ID && p.URL != n.URL }):
		return "moved"
	}
	return ""
}

// fresh reports that a fresh answer names n.
func (r *referee) fresh(n NodeStatus) bool {
	return slices.ContainsFunc(n.Holders, func(h Holder) bool { return !h.Stale && !h.Disk && h.Left.IsZero() })
}

// heard looks for what was said and is neither held nor refused.
func (r *referee) heard(after Status) {
	held := map[string]bool{}
	for _, n := range after.Nodes {
		for _, h := range n.Holders {
			held[h.Source+n.URL] = true
		}
	}
	shown := map[string]bool{}
	for _, c := range after.Conflicts {
		shown[c.Source+c.URL] = true
		r.seen["conflict"]++
		if c.Cause == noRoom {
			r.seen["no room"]++
		}
	}
	if after.Refused > maxConflicts {
		return
	}
	for source, named := range r.named {
		if _, ok := r.keys[source]; !ok {
			continue
		}
		for url := range named {
			if !held[source+url] && !shown[source+url] {
				r.breach(ruleHeard, "%s of %s: %+v", url, source, after)
			}
		}
	}
}

func (r *referee) names(before, after Status) {
	was := map[string]regions.NodeID{}
	for _, n := range before.Nodes {
		was[n.URL] = n.ID
	}
	for _, n := range after.Nodes {
		if id, ok := was[n.URL]; ok && id != n.ID {
			r.seen["id moved"]++
			if slices.ContainsFunc(n.Holders, func(h Holder) bool { return h.ID == id }) {
				r.breach(ruleID, "%s was %s: %+v", n.URL, id, n)
			}
		}
	}
}
