package gateway

import (
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/shed"
	"github.com/quorate/quorate/regions"
)

// Outcome is how a request ended, as the agent saw it.
type Outcome uint8

const (
	// OK: a node answered.
	OK Outcome = iota
	// NodeError: a node answered with an HTTP error.
	NodeError
	// Unknown: the call may have run; answered -32070.
	Unknown
	// Unavailable: no node could take it; answered -32072.
	Unavailable
	// Overloaded: refused to protect the service; answered -32073.
	Overloaded
	// Refused: a write, and this side may not write; answered -32071.
	Refused
	// Rejected: the request itself was wrong.
	Rejected
	// Canceled: the agent left.
	Canceled
	outcomes
)

// String is the metric label's value.
func (o Outcome) String() string {
	return [...]string{"ok", "node_error", "unknown", "unavailable", "overloaded", "refused", "rejected", "canceled"}[o]
}

// methodClass groups methods so that a metric's label has few values.
type methodClass uint8

const (
	classCall methodClass = iota
	classList
	classRead
	classStream
	classSession
	classOther
	methodClasses
)

// String is the metric label's value.
func (c methodClass) String() string {
	return [...]string{"call", "list", "read", "stream", "session", "other"}[c]
}

func methodClassOf(method string) methodClass {
	switch method {
	case mcp.MethodToolsCall:
		return classCall
	case mcp.MethodToolsList, mcp.MethodPromptsList, mcp.MethodResourcesList, mcp.MethodResourceTemplatesList:
		return classList
	case mcp.MethodResourcesRead, mcp.MethodPromptsGet, mcp.MethodComplete:
		return classRead
	case mcp.MethodListen:
		return classStream
	case mcp.MethodInitialize, mcp.MethodDiscover, mcp.MethodPing:
		return classSession
	}
	return classOther
}

// counters are a service's figures: plain atomics on the request path, read by the metrics export.
type counters struct {
	requests [2][methodClasses][outcomes]atomic.Uint64
	retries  atomic.Uint64
	spliced  atomic.Uint64 // streams continued on another node
	migrated atomic.Uint64 // legacy sessions
	lost     atomic.Uint64
	spilled  [regions.Classes]atomic.Uint64 // answered by a slower region, by class asked for
}

func (c *counters) count(era mcp.Era, class methodClass, o Outcome) {
	c.requests[eraIndex(era)][class][o].Add(1)
}

func eraIndex(era mcp.Era) int {
	if era == mcp.Modern {
		return 1
	}
	return 0
}

// durations holds a recorder per kind of request.
type durations [2][methodClasses]func(time.Duration)

func newDurations(service string, recorder func(service, era, methodClass string) func(time.Duration)) (d durations) {
	for i, era := range [...]mcp.Era{mcp.Legacy, mcp.Modern} {
		for class := range methodClasses {
			d[i][class] = recorder(service, era.String(), class.String())
		}
	}
	return d
}

// RequestCount is one cell of a service's request counter.
type RequestCount struct {
	Service, Era, MethodClass, Outcome string
	Count                              uint64
}

// each calls f for every cell that has counted something.
func (c *counters) each(service string, f func(RequestCount)) {
	for i, era := range [...]mcp.Era{mcp.Legacy, mcp.Modern} {
		for m := range methodClasses {
			for o := range outcomes {
				if n := c.requests[i][m][o].Load(); n > 0 {
					f(RequestCount{service, era.String(), m.String(), o.String(), n})
				}
			}
		}
	}
}

// Figures is what a service has counted so far.
type Figures struct {
	Service                                          string
	Retries, Spliced, SessionsMigrated, SessionsLost uint64
	Sessions                                         int
	Limits                                           shed.Figures
	Spilled                                          [regions.Classes]uint64
	Requests                                         []RequestCount
}

// Figures returns the counters of every service in the present table.
func (g *Gateway) Figures() []Figures {
	var all []Figures
	for _, p := range g.view.Load().byPath {
		c := &p.counters
		f := Figures{
			Service: p.name, Retries: c.retries.Load(), Spliced: c.spliced.Load(),
			SessionsMigrated: c.migrated.Load(), SessionsLost: c.lost.Load(), Sessions: p.fronts.sessions(), Limits: p.limiter.Figures(),
		}
		for class := range f.Spilled {
			f.Spilled[class] = c.spilled[class].Load()
		}
		c.each(p.name, func(r RequestCount) { f.Requests = append(f.Requests, r) })
		all = append(all, f)
	}
	return all
}
