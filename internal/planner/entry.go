package planner

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

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
	key     string          // of the last question
	life    life            // of the process that was asked
	at      time.Time       // when
	err     error           // what came of it
	problem string          // that was logged last
}

// life is one process of a strategy, and what it was doing: one that has come up since may be asked at once.
type life struct {
	process  *process
	restarts int
	state    host.State
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
		e.err, e.problem = was.err, was.problem
	}
}

// within is the plan as a roster allows it.
func (e *entry) within(r strategies.Roster) strategies.Plan {
	if len(r) == 0 {
		return e.wanted // nothing is known yet
	}
	return e.wanted.Within(r)
}

// holds reports whether the last answer is good for this question now.
func (e *entry) holds(key string, l life, now time.Time) bool {
	if e.key != key || e.life != l {
		return false
	}
	return e.err == nil || errors.Is(e.err, strategies.ErrRefused) || now.Sub(e.at) < again
}

// keyOf is the same for questions that say the same.
func keyOf(in strategies.PlanInput) string {
	in.Roster = slices.Clone(in.Roster)
	slices.SortFunc(in.Roster, func(a, b strategies.Gateway) int { return cmp.Compare(a.Name, b.Name) })
	text, err := json.Marshal(in)
	if err != nil {
		panic(err) // names and numbers always encode
	}
	return string(text)
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
	key, l := keyOf(in), life{run, status.Restarts, status.State}
	if e.holds(key, l, time.Now()) {
		good := e.err == nil || errors.Is(e.err, strategies.ErrRefused)
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
	e.key, e.life, e.at, e.err = key, l, time.Now(), err
	p.note(e, plan, status.State)
	return err == nil || errors.Is(err, strategies.ErrRefused)
}

// note takes an answer, and tells of what is another than before; mu is held.
func (p *Planner) note(e *entry, plan strategies.Plan, state host.State) {
	service, strategy := e.service.Name, e.service.Strategy
	if errors.Is(e.err, host.ErrDown) && (e.problem != "" || state == host.Starting || state == host.Stopped) {
		return // it follows from what was told, or it has not had its time yet
	}
	problem := host.Problem(e.err)
	if problem != e.problem {
		text := "strategy " + strategy + " plans again for service " + service
		if problem != "" {
			text = "strategy " + strategy + " does not plan for service " + service + ", whose plan stays " + e.wanted.String() + ": " + e.err.Error()
		}
		p.cfg.Log.Warn("replication strategy", "service", service, "strategy", strategy, "what", text)
		p.cfg.Event(events.PlannerChanged, "", text)
		e.problem = problem
	}
	if e.err != nil {
		return
	}
	if plan != e.wanted {
		text := "service " + service + ": " + plan.String() + " instead of " + e.wanted.String()
		p.cfg.Log.Info("plan of a service", "service", service, "strategy", strategy, "plan", plan.String())
		p.cfg.Event(events.PlanChanged, "", text)
	}
	e.wanted, e.asked = plan, true
}
