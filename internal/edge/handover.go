package edge

import (
	"time"

	"github.com/quorate/quorate/regions"
)

// handover is the longest that nodes which were all taken out at once go on serving while none of those that came in
// their place was verified yet.
const handover = 5 * time.Second

// present returns a service's nodes for the next table. When a source replaces all that serve by others, in one answer,
// those that go serve until one that came was verified: a service must not be without a node for the time of a check.
func (w *writer) present(service string) []regions.Node {
	now := w.trackers.nodes(service)
	before := w.served(service)
	if len(before) == 0 || !unverified(now) {
		delete(w.leaving, service)
		return now
	}
	since, leaving := w.leaving[service]
	if !leaving {
		since = time.Now()
		w.leaving[service] = since
	}
	if time.Since(since) > handover {
		return now
	}
	return handedOver(before, now)
}

// served returns the nodes that serve by the present table.
func (w *writer) served(service string) (serving []regions.Node) {
	if w.table == nil || w.table.ByName[service] == nil {
		return nil
	}
	for _, n := range w.table.ByName[service].Nodes {
		if serves(n.State) {
			serving = append(serving, n)
		}
	}
	return serving
}

func serves(s regions.State) bool { return s == regions.Healthy || s == regions.Degraded }

// unverified reports that none of the nodes serves, and that one may yet, which was never verified.
func unverified(nodes []regions.Node) (some bool) {
	for i := range nodes {
		n := &nodes[i]
		if serves(n.State) {
			return false
		}
		some = some || n.State == regions.Unknown && !n.Unproven
	}
	return some
}

// handedOver adds nodes that served and are gone to those that are there. One that has moved stays where it was; one
// that is there and serves no more is what it is now.
func handedOver(before, now []regions.Node) []regions.Node {
	at := make(map[regions.NodeID]int, len(now))
	for i, n := range now {
		at[n.ID] = i
	}
	all := append(make([]regions.Node, 0, len(now)+len(before)), now...)
	for _, n := range before {
		switch i, there := at[n.ID]; {
		case !there:
			all = append(all, n)
		case now[i].URL != n.URL:
			all[i] = n
		}
	}
	return all
}
