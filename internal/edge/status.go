package edge

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/admin"
	"github.com/quorate/quorate/internal/sources"
	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/discovery"
)

// Status gathers what /v1/status shows.
func (e *Edge) Status() admin.Status {
	cfg := e.cfg.Load()
	table := e.gateway.Table()
	s := admin.Status{Gateway: cfg.Name, Region: cfg.Region, Version: e.opts.Version, Settings: e.settingsStatus(), Problems: e.problems(time.Now())}
	if table == nil {
		return s
	}
	s.TableVersion = table.Version
	for _, c := range cfg.Services {
		if service := table.ByName[c.Name]; service != nil {
			s.Services = append(s.Services, e.serviceStatus(service))
		}
	}
	return s
}

func (e *Edge) serviceStatus(s *regions.Service) admin.Service {
	out := admin.Service{Name: s.Name, Path: s.Path, Sessions: e.gateway.Sessions(s.Name)}
	// The tracker knows more recent sightings than the table, which is only built when something changed.
	found := e.trackers.discovered(s.Name)
	out.Sources, out.Conflicts, out.Refused = sourcesStatus(found.Sources), conflictsStatus(found.Conflicts), found.Refused
	holders := make(map[regions.NodeID][]discovery.Holder, len(found.Nodes))
	for _, n := range found.Nodes {
		holders[n.ID] = n.Holders
	}
	latest := make(map[regions.NodeID]regions.Node, len(s.Nodes))
	for _, n := range e.trackers.nodes(s.Name) {
		latest[n.ID] = n
	}
	for _, n := range s.Nodes {
		if newer, ok := latest[n.ID]; ok {
			n = asRouted(n, newer)
		}
		node := e.nodeStatus(s.Name, n)
		for _, h := range holders[n.ID] {
			node.ProposedBy = append(node.ProposedBy, admin.Holder{Source: h.Source, Left: admin.Time{Time: h.Left}, Stale: h.Stale, Disk: h.Disk})
		}
		out.Nodes = append(out.Nodes, node)
	}
	return out
}

func (e *Edge) nodeStatus(service string, n regions.Node) admin.Node {
	out := admin.Node{
		ID: string(n.ID), URL: n.URL, Region: n.Region, Source: n.Source, State: n.State.String(),
		LastSeen: admin.Time{Time: n.LastSeen}, ConsecutiveFailures: n.ConsecutiveFailures,
		LatencyMS: float64(n.Latency) / float64(time.Millisecond),
		Identity:  identityWords(n.Proposal), Unproven: n.Unproven, Problem: n.Problem, Version: n.Version, Group: n.Group,
	}
	if n.Facts != nil {
		out.Era = admin.EraOf(n.Facts.Eras.Has(regions.Legacy), n.Facts.Eras.Has(regions.Modern))
		out.Groups = regions.GroupsOf(n.Facts).Words()
	}
	if live, ok := e.gateway.Node(service, n.ID); ok {
		out.InFlight, out.Breaker = live.InFlight(), live.BreakerState()
		if d := live.Latency(); d > 0 {
			out.LatencyMS = float64(d) / float64(time.Millisecond)
		}
	}
	return out
}

// asRouted is what verification sees of a node, with the state that routing acts by: the table follows within a
// tenth of a second, and until then a newcomer takes no traffic. An impostor is left alone at once.
func asRouted(table, seen regions.Node) regions.Node {
	if !seen.Unproven {
		seen.State, seen.Facts = table.State, table.Facts
	}
	return seen
}

// identityWords is what a node proves. Another region's gateway proves itself to its link.
func identityWords(p regions.Proposal) string {
	if p.Source == sources.Gateway {
		return "peer certificate"
	}
	var words []string
	for _, w := range [...]struct{ name, value string }{
		{"tls_name", p.Identity.TLSName}, {"spiffe_id", p.Identity.SPIFFE}, {"spki_sha256", p.Identity.SPKI},
	} {
		if w.value != "" {
			words = append(words, w.name+" "+w.value)
		}
	}
	return cmp.Or(strings.Join(words, ", "), admin.Unverified)
}

func sourcesStatus(all []discovery.SourceStatus) []admin.Source {
	out := make([]admin.Source, 0, len(all))
	for _, s := range all {
		to := admin.Source{
			Name: s.Name, Stale: s.Stale, Cause: s.Cause, Since: admin.Time{Time: s.StaleSince}, Answered: admin.Time{Time: s.Answered},
			Good: admin.Time{Time: s.Good}, Named: s.Named, Held: s.Held, Answers: s.Answers, Errors: s.Errors,
			Disagreements: s.Disagreements, Restarts: s.Restarts,
		}
		for _, v := range s.Voices {
			to.Voices = append(to.Voices, admin.Voice{Who: v.Who, Said: v.Said, Agrees: v.Agree, TookMS: milliseconds(v.Took)})
		}
		out = append(out, to)
	}
	return out
}

func conflictsStatus(all []discovery.Conflict) []admin.Conflict {
	out := make([]admin.Conflict, 0, len(all))
	for _, c := range all {
		out = append(out, admin.Conflict{Source: c.Source, ID: c.ID, URL: c.URL, Cause: c.Cause})
	}
	return out
}

// Ready returns why this gateway cannot serve; none means that it can.
func (e *Edge) Ready() []string {
	if e.draining.Load() {
		return []string{"draining"}
	}
	why := append(e.gate.node.Ready(), e.keyless()...)
	table := e.gateway.Table()
	if table == nil {
		return append(why, "no routing table yet")
	}
	for name, s := range table.ByName {
		if !served(s) {
			why = append(why, fmt.Sprintf("service %s has no verified node", name))
		}
	}
	return why
}

// Settled returns why this gateway has not settled: the control group's log is not applied here, its vote is silent, copies
// of sessions are not complete, or of all nodes not one is verified. A witness has neither of the last two.
func (e *Edge) Settled() []string {
	if e.draining.Load() {
		return []string{"draining"}
	}
	why := slices.Concat(e.gate.node.Ready(), e.keeping(), e.voiceless())
	if isWitness(e.cfg.Load()) {
		return why
	}
	if table := e.gateway.Table(); table != nil {
		for _, s := range table.ByName {
			if served(s) {
				return why
			}
		}
	}
	return append(why, "no node is verified")
}

func served(s *regions.Service) bool {
	for i := range s.Nodes {
		if st := s.Nodes[i].State; st == regions.Healthy || st == regions.Degraded {
			return true
		}
	}
	return false
}
