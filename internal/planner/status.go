package planner

import (
	"cmp"
	"slices"
	"time"

	"github.com/quorate/quorate/plugins/host"
	"github.com/quorate/quorate/strategies"
)

// Status is a service's plan at one moment, and the strategy behind it.
type Status struct {
	Service  string
	Strategy string
	Plan     strategies.Plan // in force
	Wanted   int             // copies that the strategy asks for; more than in Plan where there are too few gateways
	Answered bool            // the plan is an answer of the strategy that is configured now
	Stores   bool            // the strategy that runs is a store
	State    host.State      // of its process; stopped where nothing is to be asked
	Since    time.Time       // when it came to that
	PID      int             // while it runs
	Restarts int
	Breaker  string
	Err      error // why it does not plan: that of the process, else of the last question; nil while it does
}

// Status returns what there is of every service, by name.
func (p *Planner) Status() []Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]Status, 0, len(p.entries))
	for name, e := range p.entries {
		s := Status{Service: name, Strategy: e.service.Strategy, Plan: e.within(p.roster), Wanted: e.wanted.Copies, Answered: e.asked, State: host.Stopped}
		if run := p.processes[e.service.program()]; run != nil {
			h := run.replicator.Status()
			s.State, s.Since, s.PID, s.Restarts, s.Breaker, s.Err = h.State, h.Since, h.PID, h.Restarts, h.Breaker, h.Err
			s.Stores, _ = run.replicator.Stores()
			if s.Err == nil {
				s.Err = e.last.Err
			}
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b Status) int { return cmp.Compare(a.Service, b.Service) })
	return all
}

// Ready says for which services the plan is not the strategy's own yet, and why; none: all is as it was configured. What
// is built in is a function of this program, and always ready.
func (p *Planner) Ready() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var waiting []string
	for name, e := range p.entries {
		if _, ok := e.service.builtin(); !ok && !e.asked {
			waiting = append(waiting, "service "+name+": replication strategy "+e.service.Strategy+" has not planned yet")
		}
	}
	slices.Sort(waiting)
	return waiting
}
