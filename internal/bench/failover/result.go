package failover

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/mcpnode"
)

// Result is what a run showed.
type Result struct {
	System string
	Fault  Fault
	Seed   uint64

	Calls, Once int64 // calls made, and those of them that must not happen twice
	Faults      int
	Busy        int // faults that hit a node with a call in flight
	Thawed      int // black holes that ended by SIGCONT

	// Lost counts calls that a perfect front would have answered: retry-safe calls without a result,
	// and once calls refused although another node was there to take them.
	Lost int64
	// Safe is the part of Lost that was retry-safe.
	SafeLost int64
	// Duplicate counts once calls that were executed more than once.
	Duplicate int64
	// Unknown counts once calls without an outcome: cut while a node may have executed them.
	Unknown int64
	// Untold is the part of Unknown that was not answered with the error -32070.
	Untold int64
	// UnknownExecuted is the part of Unknown that the journals show as executed.
	UnknownExecuted int64
	// False counts answers that the journals contradict: a result without an execution, or a refusal
	// of a call that was executed.
	False int64
	// Refused counts writes that a closed write gate refused; see LoadConfig.Gated.
	Refused int64
	// SessionsLost counts legacy sessions that an agent had to open again.
	SessionsLost int64

	Gaps          []time.Duration // one per fault, sorted
	Returns       []time.Duration // from the end of a fault until every node took traffic again, sorted
	Longest       string          // who had the longest gap, and how
	Counters      Counters
	Subscriptions []Subscription
	Samples       []string // some of the failures
	FrontErr      error    // the proxy's own figures could not be read, or it did not stop in order
}

// Subscription is what one SDK agent's subscription delivered.
type Subscription struct {
	Agent   string
	Updates int64
	Silent  time.Duration // since the last update, at the end
}

// Gap returns the p-th quantile of the gaps (0 < p ≤ 1) by nearest rank, 0 without gaps.
func (r Result) Gap(p float64) time.Duration { return quantile(r.Gaps, p) }

func quantile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(0, int(math.Ceil(p*float64(len(sorted))))-1)]
}

// String is the report line of one system.
func (r Result) String() string {
	return fmt.Sprintf("failover %s calls=%d lost=%d duplicate=%d unknown=%d gap_p50_ms=%.1f gap_p99_ms=%.1f",
		r.System, r.Calls, r.Lost, r.Duplicate, r.Unknown, ms(r.Gap(0.5)), ms(r.Gap(0.99)))
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// result judges the agents' records by the journals. Agents and front have ended.
func (r *run) result(c Counters, frontErr error) (Result, error) {
	journal, err := r.pool.Journal()
	if err != nil {
		return Result{}, err
	}
	res := r.load.Result(journal)
	res.System, res.Fault, res.Seed = r.cfg.Front.Name(), r.cfg.Fault, r.cfg.Seed
	res.Faults, res.Busy, res.Thawed, res.Longest = len(r.gaps), r.busy, r.thawed, r.longest
	res.Gaps = slices.Sorted(slices.Values(r.gaps))
	res.Returns = slices.Sorted(slices.Values(r.returns))
	res.Counters, res.FrontErr = c, frontErr
	return res, nil
}

// Result judges what the agents were told by the journals of all nodes that could have executed their
// calls. It must follow Stop. What is about faults and fronts is left empty.
func (l *Load) Result(journal []mcpnode.Entry) Result {
	f := l.Figures()
	res := Result{
		Calls: f.Calls, Once: f.Once, Lost: f.SafeLost, SafeLost: f.SafeLost,
		SessionsLost: f.SessionsLost, Samples: l.rec.samples,
	}
	runs := executions(journal)
	for _, w := range f.Writes {
		res.Refused += w.Refused
	}
	for _, a := range l.agents {
		for _, e := range a.effect {
			res.judge(e, runs[e.id])
		}
		if sdk, ok := a.caller.(*sdkAgent); ok {
			res.Subscriptions = append(res.Subscriptions, sdk.subscription(a.name))
		}
	}
	return res
}

func (s *sdkAgent) subscription(name string) Subscription {
	return Subscription{Agent: name, Updates: s.updates.Load(), Silent: s.silent}
}

// execution counts how often a call began and ended on any node.
type execution struct{ started, ended int }

func executions(journal []mcpnode.Entry) map[string]execution {
	runs := make(map[string]execution, len(journal)/2)
	for _, e := range journal {
		x := runs[e.Call]
		if e.Phase == mcpnode.PhaseStart {
			x.started++
		} else {
			x.ended++
		}
		runs[e.Call] = x
	}
	return runs
}

// judge compares what an agent was told of one call with what the nodes did.
func (r *Result) judge(e effect, x execution) {
	if e.outcome == answered && x.ended == 0 || e.outcome == barred && x.started > 0 {
		r.False++
	}
	if !e.once {
		return
	}
	if x.started > 1 {
		r.Duplicate++
	}
	switch e.outcome {
	case unknown, untold, cut:
		r.Unknown++
		if e.outcome == untold {
			r.Untold++
		}
		if x.started > 0 {
			r.UnknownExecuted++
		}
	case refused:
		r.Lost++
		if x.started > 0 {
			r.False++
		}
	}
}
