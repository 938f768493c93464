package failover

import (
	"fmt"
	"time"
)

// Violations lists what a gateway must not do and did, one sentence each. limit bounds the 99th
// percentile of the gaps; 0 leaves the gaps unjudged.
func (r Result) Violations(limit time.Duration) []string {
	var v []string
	must := func(ok bool, format string, args ...any) {
		if !ok {
			v = append(v, fmt.Sprintf(format, args...))
		}
	}
	must(r.SafeLost == 0, "%d retry-safe calls failed", r.SafeLost)
	must(r.Lost == r.SafeLost, "%d once calls were refused though another node was there", r.Lost-r.SafeLost)
	must(r.Duplicate == 0, "%d once calls were executed twice", r.Duplicate)
	must(r.Untold == 0, "%d once calls ended without a result and without the error %d", r.Untold, CodeUnknown)
	must(r.False == 0, "%d answers are contradicted by the journals", r.False)
	must(r.SessionsLost == 0, "%d sessions were lost", r.SessionsLost)
	must(r.FrontErr == nil, "%v", r.FrontErr)
	if limit > 0 {
		must(r.Gap(0.99) <= limit, "the 99th percentile of the gaps is %.1f ms, more than %.0f ms", ms(r.Gap(0.99)), ms(limit))
	}
	for _, s := range r.Subscriptions {
		must(s.Silent < maxSilence, "the subscription of %s stopped delivering (%d updates)", s.Agent, s.Updates)
	}
	return v
}

// maxSilence is the longest time since the last update that a subscription may show at the end.
// The nodes send an update every UpdatesEvery, and the run goes on for settleTime after its last fault.
const maxSilence = settleTime

// UpdatesEvery is the interval of resource updates of a node that agents subscribe to.
const UpdatesEvery = 100 * time.Millisecond

// Weaknesses lists why a run proves less than it should, one sentence each.
func (r Result) Weaknesses() []string {
	var v []string
	if r.Once*10 < r.Calls*3 {
		v = append(v, fmt.Sprintf("%d of %d calls are once calls, less than 30 %%", r.Once, r.Calls))
	}
	if r.Busy*2 < r.Faults {
		v = append(v, fmt.Sprintf("%d of %d faults hit a node with a call in flight, less than half", r.Busy, r.Faults))
	}
	return v
}
