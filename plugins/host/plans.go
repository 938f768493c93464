package host

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/quorate/quorate/plugins"
	"github.com/quorate/quorate/strategies"
)

// configuring is how long a strategy may take for its settings.
const configuring = 5 * time.Second

// configure tells a replication strategy its settings.
func (l *life) configure(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, configuring)
	defer cancel()
	l.stores, err = l.plans.Configure(ctx, l.cfg.Told)
	if status.Code(err) == codes.Unimplemented {
		return fmt.Errorf("it is no replication strategy: its main has to call plugins.ServeReplication")
	}
	return err
}

// plan asks for a plan and checks it, within the time for that.
func (l *life) plan(ctx context.Context, in strategies.PlanInput) (strategies.Plan, error) {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Decide)
	defer cancel()
	p, err := l.plans.Plan(ctx, in)
	if err != nil {
		return strategies.Plan{}, classify(ctx, err)
	}
	if p.Class == strategies.Stored && !l.stores {
		return strategies.Plan{}, fmt.Errorf("%w: its plan is to store, and it is no store", ErrInadmissible)
	}
	return p, nil
}

// store returns the strategy as a store, if it is one.
func (l *life) store() (strategies.Store, bool) {
	if !l.stores {
		return nil, false
	}
	return l.plans, true
}

// ReplicationPlugin is one process of a replication strategy that nobody restarts, for those who want to see what it
// does. It is asked as it is: without deadlines, a breaker or this package's errors.
type ReplicationPlugin struct {
	plugins.ReplicationClient
	Stores bool // it is a store
	l      *life
	launch *launcher
}

// LaunchReplication is Launch for a replication strategy.
func LaunchReplication(ctx context.Context, cfg Config) (*ReplicationPlugin, error) {
	cfg.kind = plugins.Replication
	p, err := Launch(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return &ReplicationPlugin{ReplicationClient: p.l.plans, Stores: p.l.stores, l: p.l, launch: p.launch}, nil
}

// Close kills the process with its group.
func (p *ReplicationPlugin) Close() { (&Plugin{l: p.l, launch: p.launch}).Close() }
