package verify

import (
	"cmp"
	"time"

	"github.com/quorate/quorate/regions"
)

// Seed starts to watch a node that an earlier life of the gateway verified, with what it then found: the node takes
// traffic at once, and its first check is made at once. It reports whether the node is watched from now on; it is
// not when the proposal is invalid, facts are nil, the id is watched already or the Tracker is closed. SetNodes must
// be given the node too, or it ends the watching.
//
// The node is healthy, not degraded: where all are from disk, as at a cold start, a lesser state would only say that
// nobody is better, and one that is gone is found by the first request that it refuses (Failed, dead) as by its
// first checks. LastSeen stays the old one, because nothing was seen since. Since is the same: the node was up all
// along, so there is nothing to start slowly. The first failed check moves it down as it would any healthy node.
func (t *Tracker) Seed(p regions.Proposal, facts *regions.Facts, lastSeen time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	p.Service = cmp.Or(p.Service, t.cfg.Service)
	if t.closed || facts == nil || t.watchers[p.ID] != nil || regions.CheckProposal(p) != nil {
		return false
	}
	kept := *facts
	kept.Tools = t.cfg.shared.of(kept.Tools)
	past := &watcher{health: Health{State: regions.Healthy}}
	past.seen = regions.Observation{State: regions.Healthy, Facts: &kept, LastSeen: lastSeen, Since: lastSeen}
	w, err := t.watch(p, past)
	if err != nil {
		t.leftOut(p, err.Error())
		return false
	}
	t.watchers[p.ID] = w
	signal(t.changed)
	return true
}

// Failing reports whether a node takes no traffic because it fails its checks, and when it last did not fail them;
// the zero time for one that never passed. Unknown ids do not fail.
func (t *Tracker) Failing(id regions.NodeID) (since time.Time, failing bool) {
	t.mu.RLock()
	w := t.watchers[id]
	t.mu.RUnlock()
	if w == nil {
		return time.Time{}, false
	}
	seen := w.node().Observation
	down := seen.State == regions.Unhealthy || seen.State == regions.Unknown
	return seen.LastSeen, down && seen.ConsecutiveFailures > 0
}
