package planner

import (
	"context"

	"github.com/quorate/quorate/plugins/host"
	"github.com/quorate/quorate/strategies"
)

// process is a strategy that runs.
type process struct {
	replicator *host.Replicator
	cancel     context.CancelFunc
	done       chan struct{}
}

// end kills the process and waits until it is gone.
func (p *process) end() {
	p.cancel()
	<-p.done
}

// follow starts the processes that services need and ends the others. A strategy that is built in does not run where
// there is nobody to hold a copy: it would be asked in vain.
func (p *Planner) follow(ctx context.Context, roster strategies.Roster) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.roster = roster
	needed := map[program]Service{}
	for _, e := range p.entries {
		if _, ok := e.service.builtin(); !ok || roster.Carriers() > 1 {
			needed[e.service.program()] = e.service
		}
		if e.former != nil {
			needed[e.former.program()] = *e.former
		}
	}
	for key, run := range p.processes {
		if _, ok := needed[key]; !ok {
			run.end()
			delete(p.processes, key)
		}
	}
	for key, s := range needed {
		if p.processes[key] == nil {
			p.begin(ctx, key, s)
		}
	}
}

// begin starts a strategy's process; mu is held.
func (p *Planner) begin(ctx context.Context, key program, s Service) {
	c, err := s.Host(p.cfg)
	if err != nil { // Use has checked it
		p.cfg.Log.Error("replication strategy cannot run", "strategy", s.Strategy, "cause", err)
		return
	}
	r, err := host.NewReplicator(c)
	if err != nil {
		p.cfg.Log.Error("replication strategy cannot run", "strategy", s.Strategy, "cause", err)
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	run := &process{replicator: r, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(run.done)
		_ = r.Run(ctx) // returns nil
	}()
	p.processes[key] = run
}

// stop ends all processes.
func (p *Planner) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, run := range p.processes {
		run.end()
		delete(p.processes, key)
	}
	p.publish()
}
