package planner

import (
	"context"
	"errors"
	"time"

	"github.com/quorate/quorate/internal/asked"
	"github.com/quorate/quorate/internal/events"
	"github.com/quorate/quorate/plugins/host"
	"github.com/quorate/quorate/strategies"
)

// entry is one service and what is known of its plan.
type entry struct {
	service Service
	former  *Service        // whose store kept the sessions before, while it is still asked; nil: none
	wanted  strategies.Plan // the last good one, before it is held against the roster
	asked   bool            // it is the strategy's own answer
	last    asked.Answer[*process]
	problem string // that was logged last
}

// follow takes from the entry of the same service what still holds.
func (e *entry) follow(was *entry) {
	if was == nil {
		return
	}
	same := was.service.program() == e.service.program()
	e.former = was.former
	if !same && was.asked && was.wanted.Class == strategies.Stored {
		e.former = &was.service
	}
	if e.former != nil && e.former.program() == e.service.program() {
		e.former = nil // it is back
	}
	if _, ok := e.service.builtin(); !ok {
		e.wanted, e.asked = was.wanted, was.asked && same
	}
	if same {
		e.last.Err, e.problem = was.last.Err, was.problem
	}
}

// within is the plan as a roster allows it.
func (e *entry) within(r strategies.Roster) strategies.Plan {
	if len(r) == 0 {
		return e.wanted // nothing is known yet
	}
	return e.wanted.Within(r)
}

// keyOf is the same for questions that say the same.
func keyOf(in strategies.PlanInput) string {
	roster := in.Roster
	in.Roster = nil
	return asked.Key(roster, in)
}

// ask asks for a service's plan where that is not known, and reports whether it is now.
func (p *Planner) ask(ctx context.Context, name string, roster strategies.Roster) bool {
	p.mu.Lock()
	e := p.entries[name]
	var run *process
	if e != nil {
		run = p.processes[e.service.program()]
	}
	if run == nil {
		p.mu.Unlock()
		return true // it is gone, or has nothing to be asked
	}
	in, status := e.service.input(roster), run.replicator.Status()
	key, life := keyOf(in), asked.LifeOf(run, status)
	if e.last.Holds(key, life, time.Now()) {
		good := e.last.Good()
		p.mu.Unlock()
		return good
	}
	p.mu.Unlock()
	plan, err := run.replicator.Plan(ctx, in)
	if ctx.Err() != nil {
		return true // nobody waits any more, which says nothing of the strategy
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.entries[name] != e {
		return true // it was replaced meanwhile, and is asked about again
	}
	e.last = asked.Answer[*process]{Key: key, Life: life, At: time.Now(), Err: err}
	p.note(e, plan, status.State)
	return e.last.Good()
}

// note takes an answer, and tells of what is another than before; mu is held.
func (p *Planner) note(e *entry, plan strategies.Plan, state host.State) {
	service, strategy := e.service.Name, e.service.Strategy
	if errors.Is(e.last.Err, host.ErrDown) && (e.problem != "" || state == host.Starting || state == host.Stopped) {
		return // it follows from what was told, or it has not had its time yet
	}
	problem := host.Problem(e.last.Err)
	if problem != e.problem {
		text := "strategy " + strategy + " plans again for service " + service
		if problem != "" {
			text = "strategy " + strategy + " does not plan for service " + service + ", whose plan stays " + e.wanted.String() + ": " + e.last.Err.Error()
		}
		p.cfg.Log.Warn("replication strategy", "service", service, "strategy", strategy, "what", text)
		p.cfg.Event(events.PlannerChanged, "", text)
		e.problem = problem
	}
	if e.last.Err != nil {
		return
	}
	if plan != e.wanted {
		text := "service " + service + ": " + plan.String() + " instead of " + e.wanted.String()
		p.cfg.Log.Info("plan of a service", "service", service, "strategy", strategy, "plan", plan.String())
		p.cfg.Event(events.PlanChanged, "", text)
	}
	e.wanted, e.asked = plan, true
}
