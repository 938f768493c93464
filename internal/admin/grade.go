package admin

import (
	"fmt"
	"time"
)

// Grade is how the cluster is, in one word.
type Grade string

// The grades, from the best to the worst.
const (
	Healthy  Grade = "healthy"
	Warning  Grade = "warning"
	Critical Grade = "critical"
)

// Bounds of the grades: up to the first is healthy, up to the second a warning, beyond it critical.
const (
	latencyHealthyMS, latencyWarningMS   = 50, 100
	lagHealthyMS, lagWarningMS           = 100, 500
	failoverHealthyMS, failoverWarningMS = 1000, 3000
	// failoverCounts is how long a slow failover is held against the cluster.
	failoverCounts = time.Hour
)

// assessment collects what there is to say; the worst counts.
type assessment struct {
	grade   Grade
	reasons []string
}

// gradeOf grades a cluster whose NodesUp and Nodes are filled in. Only gateways that are up count for round trip and
// lag: the others count as down. A gateway that may not write, knows no leader or follows the log no more is critical.
func gradeOf(c Cluster, now time.Time) (Grade, []string) {
	a := &assessment{grade: Healthy, reasons: []string{}}
	a.nodes(c.NodesUp, c.Nodes)
	a.voters(c.Gateways, c.Declared)
	if c.Leader == "" {
		a.say(Critical, "no leader is known: nothing can be committed")
	}
	if !c.Gate.Open {
		a.say(Critical, "this gateway may not write: "+c.Gate.Reason)
	}
	if c.Problem != "" {
		a.say(Critical, c.Problem)
	}
	slowest, latest := worst(c.Gateways)
	a.bound("round trip to "+slowest.Gateway, slowest.RTTMS, latencyHealthyMS, latencyWarningMS)
	a.bound("lag of "+latest.Gateway, latest.LagMS, lagHealthyMS, lagWarningMS)
	if f := c.LastFailover; f != nil && now.Sub(f.At.Time) < failoverCounts {
		a.bound("the last failover", f.TookMS, failoverHealthyMS, failoverWarningMS)
	}
	return a.grade, a.reasons
}

// worst returns the gateways that are up with the longest round trip and the longest lag.
func worst(all []Member) (slowest, latest Member) {
	for _, m := range all {
		if !m.Up {
			continue
		}
		if m.RTTMS > slowest.RTTMS {
			slowest = m
		}
		if m.LagMS > latest.LagMS {
			latest = m
		}
	}
	return slowest, latest
}

func (a *assessment) nodes(up, of int) {
	switch {
	case of == 0:
		a.say(Critical, "no gateway is in the roster")
	case up == of:
	case 3*up >= 2*of:
		a.say(Warning, fmt.Sprintf("%d of %d gateways are up", up, of))
	default:
		a.say(Critical, fmt.Sprintf("%d of %d gateways are up", up, of))
	}
}

// voters: a fleet that was forced, or lost some for good, is whole by the gateways that it still knows, and one loss from
// its end.
func (a *assessment) voters(all []Member, declared int) {
	have := 0
	for _, m := range all {
		if m.Role == RoleVoter || m.Role == RoleWitness {
			have++
		}
	}
	if have < declared {
		a.say(Warning, fmt.Sprintf("%d of the %d voters that there are to be: bring the others back or add some", have, declared))
	}
}

func (a *assessment) bound(what string, ms, healthy, warning float64) {
	switch {
	case ms <= healthy:
	case ms <= warning:
		a.say(Warning, fmt.Sprintf("%s: %.1f ms, more than %.0f ms", what, ms, healthy))
	default:
		a.say(Critical, fmt.Sprintf("%s: %.1f ms, more than %.0f ms", what, ms, warning))
	}
}

func (a *assessment) say(g Grade, reason string) {
	a.reasons = append(a.reasons, reason)
	if g == Critical || a.grade == Healthy {
		a.grade = g
	}
}
