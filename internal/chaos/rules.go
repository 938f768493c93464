package chaos

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/chaos/history"
	"github.com/quorate/quorate/internal/chaos/schedule"
	"github.com/quorate/quorate/internal/testnet"
	"github.com/quorate/quorate/strategies"
	"github.com/quorate/quorate/strategies/winnertakesall"
)

// rules are what quorum rules may be in force in a run. A change that was asked for may be made at any time after, so
// each stays possible once it is.
type rules struct {
	schedule schedule.Schedule
	gateways []history.Gateway // with their votes as they may be
	ever     map[string]bool   // had a vote
	may      []history.InForce
	settable bool // the strategy is set at run time
	changing bool // the rule is changed
}

func newRules(s schedule.Schedule) (*rules, error) {
	r := &rules{schedule: s, gateways: slices.Clone(s.Gateways), ever: map[string]bool{},
		settable: s.Has(schedule.Rule), changing: s.Has(schedule.Rule, schedule.Vote, schedule.Unvote)}
	strategy, master := s.Strategy, s.Master
	if r.settable {
		strategy, master = winnertakesall.Name, ""
	}
	err := r.add(strategy, master, 0)
	return r, err
}

// add makes the rule of a strategy possible from now on.
func (r *rules) add(strategy, master string, now history.Time) error {
	rule, err := schedule.QuorumRule(strategy, master, r.gateways)
	if err != nil {
		return err
	}
	for _, g := range r.gateways {
		r.ever[g.Name] = r.ever[g.Name] || g.Role.Votes()
	}
	r.may = append(r.may, history.InForce{From: now, Rule: rule.String()})
	return nil
}

// change makes possible what a fault may change. A rule that the strategy refuses never comes in force.
func (r *rules) change(f schedule.Fault, now history.Time) {
	master := r.schedule.Master
	switch f.Kind {
	case schedule.Rule:
		master = f.To[0]
	case schedule.Vote, schedule.Unvote:
		role := map[schedule.Kind]strategies.Role{schedule.Vote: strategies.Voter, schedule.Unvote: strategies.Member}[f.Kind]
		for i := range r.gateways {
			if slices.Contains(f.To, r.gateways[i].Name) {
				r.gateways[i].Role = role
			}
		}
	default:
		return
	}
	_ = r.add(r.schedule.Strategy, master, now)
}

// voted are the gateways as the judge needs them: with a vote if they ever had one.
func (r *rules) voted() []history.Gateway {
	all := slices.Clone(r.schedule.Gateways)
	for i := range all {
		if r.ever[all[i].Name] && !all[i].Role.Votes() {
			all[i].Role = strategies.Voter
		}
	}
	return all
}

// begin sets the strategy where it is not in the files, and waits until it has settled.
func (r *run) begin(ctx context.Context) error {
	r.settled(ctx)
	if r.rules.settable && !r.cfg.Lawless {
		if err := r.choose(ctx); err != nil {
			return fmt.Errorf("%w: the strategy cannot be set: %w", ErrNotReady, err)
		}
		r.settled(ctx)
	}
	return r.allWrite(ctx, readyTime)
}

// choose sets the strategy, again and again until another rule than the first has settled.
func (r *run) choose(ctx context.Context) error {
	before := ""
	if n := len(r.history.Settled); n > 0 {
		before = r.history.Settled[n-1].Rule
	}
	first := schedule.Fault{Kind: schedule.Rule, To: []string{r.schedule.Master}}
	r.rules.change(first, r.clock())
	return testnet.Await(readyTime, "another rule than "+before, func() bool {
		if s, err := r.fleet.Make(ctx, first); err == nil {
			_ = s.End() // there is nothing to take away
		}
		wait(ctx, time.Second) // for the rule to change
		now := r.fleet.Cluster(ctx).Rule
		return now != "" && now != before || ctx.Err() != nil
	})
}

// settled waits until a rule that was changed has settled, and notes it. One that does not settle is not judged by it.
func (r *run) settled(ctx context.Context) {
	if !r.rules.changing || r.cfg.Lawless {
		return
	}
	var rule string
	if testnet.Await(converge, "the rule settles", func() bool {
		rule = r.fleet.Cluster(ctx).Rule
		return rule != "" || ctx.Err() != nil
	}) != nil || rule == "" {
		return
	}
	r.history.Settled = append(r.history.Settled, history.Settled{At: r.clock(), Rule: rule})
	wait(ctx, 2*r.cfg.Slack+2*r.cfg.Think) // for effects that show its epoch
}
