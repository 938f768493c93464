package edge

import (
	"fmt"
	"time"

	"github.com/quorate/quorate/internal/admin"
	"github.com/quorate/quorate/regions"
)

// Status gathers what /v1/status shows.
func (e *Edge) Status() admin.Status {
	cfg := e.cfg.Load()
	table := e.gateway.Table()
	s := admin.Status{Gateway: cfg.Name, Region: cfg.Region, Version: e.opts.Version}
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
	latest := make(map[regions.NodeID]regions.Node, len(s.Nodes))
	for _, n := range e.trackers.nodes(s.Name) {
		latest[n.ID] = n
	}
	for _, n := range s.Nodes {
		if newer, ok := latest[n.ID]; ok {
			n = newer
		}
		out.Nodes = append(out.Nodes, e.nodeStatus(s.Name, n))
	}
	return out
}

func (e *Edge) nodeStatus(service string, n regions.Node) admin.Node {
	out := admin.Node{
		ID: string(n.ID), URL: n.URL, Region: n.Region, Source: n.Source, State: n.State.String(),
		LastSeen: admin.Time{Time: n.LastSeen}, ConsecutiveFailures: n.ConsecutiveFailures,
		LatencyMS: float64(n.Latency) / float64(time.Millisecond),
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

// Ready returns why this gateway cannot serve; none means that it can.
func (e *Edge) Ready() []string {
	if e.draining.Load() {
		return []string{"draining"}
	}
	table := e.gateway.Table()
	if table == nil {
		return []string{"no routing table yet"}
	}
	var why []string
	for name, s := range table.ByName {
		if !served(s) {
			why = append(why, fmt.Sprintf("service %s has no verified node", name))
		}
	}
	return why
}

func served(s *regions.Service) bool {
	for i := range s.Nodes {
		if st := s.Nodes[i].State; st == regions.Healthy || st == regions.Degraded {
			return true
		}
	}
	return false
}
