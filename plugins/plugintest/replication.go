package plugintest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/strategies"
)

// ReplicationConfig says what to test.
type ReplicationConfig struct {
	// Start starts the strategy, anew each time and with the same settings, and returns it with what ends it, as
	// SIGKILL does. Where it is a strategies.Store it is tested as one.
	Start func(context.Context) (strategies.Replication, func(), error)
	// Options are passed on to the strategy.
	Options map[string]string
}

// Point is what came of one thing that was looked at.
type Point struct {
	Name string
	Says string        // what the strategy answered; empty where there is nothing to say
	Took time.Duration // the quickest answer
	// Problems are what is wrong, with what to do.
	Problems []string
}

func (c *Point) add(format string, args ...any) {
	c.Problems = append(c.Problems, fmt.Sprintf(format, args...))
}

// ReplicationReport is the outcome of the suite for replication strategies.
type ReplicationReport struct {
	Points []Point
	Stores bool // the strategy is a store
	// Problems are those that are no single point's.
	Problems []string
}

func (r *ReplicationReport) add(format string, args ...any) {
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

// Failed reports whether the strategy breaks the contract.
func (r ReplicationReport) Failed() bool {
	return len(r.Problems) > 0 || slices.ContainsFunc(r.Points, func(c Point) bool { return len(c.Problems) > 0 })
}

// Print writes the report for people, as Report.Print does.
func (r ReplicationReport) Print(w io.Writer) {
	for _, c := range r.Points {
		word, says := "ok     ", c.Says
		if len(c.Problems) > 0 {
			word, says = "FAIL   ", ""
		} else if says != "" {
			says = ": " + says
		}
		fmt.Fprintf(w, "%s %s%s, in %s\n", word, c.Name, says, c.Took.Round(10*time.Microsecond))
		for _, p := range c.Problems {
			indent(w, p)
		}
	}
	for _, p := range r.Problems {
		fmt.Fprintln(w, "FAIL    as a whole")
		indent(w, p)
	}
}

// CheckReplication runs the suite. The strategy is started twice, as two gateways would; a store a third time after
// the first was ended.
func CheckReplication(ctx context.Context, cfg ReplicationConfig) ReplicationReport {
	var report ReplicationReport
	first, endFirst, err := cfg.Start(ctx)
	if err != nil {
		report.add("it does not start: %v", err)
		return report
	}
	defer func() { endFirst() }()
	second, endSecond, err := cfg.Start(ctx)
	if err != nil {
		report.add("it does not start a second time, beside the first: %v; it must not hold what only one process can have", err)
		return report
	}
	defer endSecond()
	report.plans(ctx, cfg, first, second)
	a, stores := first.(strategies.Store)
	b, both := second.(strategies.Store)
	if stores != both {
		report.add("one process of it is a store and another is none")
		return report
	}
	if report.Stores = stores; !stores || report.Failed() {
		return report
	}
	s := newStoreSuite(ctx, a, b)
	report.Points = append(report.Points, s.run()...)
	endFirst()
	endFirst = func() {}
	again, end, err := cfg.Start(ctx)
	if err != nil {
		report.add("it does not start again after it was killed: %v", err)
		return report
	}
	endFirst = end
	if s.first, stores = again.(strategies.Store); !stores {
		report.add("it is no store any more after it was killed")
		return report
	}
	report.Points = append(report.Points, s.outlives())
	return report
}

// PlanCases are the questions of the suite.
func PlanCases(options map[string]string) []strategies.PlanInput {
	in := func(factor int, timeout time.Duration, retries int, roster strategies.Roster) strategies.PlanInput {
		return strategies.PlanInput{Service: "tools", Roster: roster, Factor: factor, Timeout: timeout, Retries: retries, Options: options}
	}
	return []strategies.PlanInput{
		in(2, 5*time.Second, 3, voters(1, 1)),
		in(2, 5*time.Second, 3, voters(2, 2)),
		in(2, 5*time.Second, 3, voters(3, 3)),
		in(0, 5*time.Second, 3, voters(3, 3)),
		in(1, strategies.MinTimeout, 1, witness(voters(3, 3))),
		in(strategies.MaxCopies, strategies.MaxTimeout, strategies.MaxRetries, voters(5, 3)),
		in(2, 5*time.Second, 3, members(voters(9, 3), 3)),
		in(2, 5*time.Second, 3, heavy(members(voters(strategies.MaxGateways, 16), strategies.MaxVoters))),
	}
}

// planned is a plan or a refusal.
type planned struct {
	plan    strategies.Plan
	refused string
}

// String is the same for answers that come to the same.
func (p planned) String() string {
	if p.refused != "" {
		return "a refusal"
	}
	return p.plan.String()
}

func (r *ReplicationReport) plans(ctx context.Context, cfg ReplicationConfig, first, second strategies.Replication) {
	refusal, plans, late := "", 0, 0
	for _, in := range PlanCases(cfg.Options) {
		q := questions[planned]{ctx: ctx, explain: error.Error, ask: func(ctx context.Context, other, turned bool) (planned, error) {
			strategy, in := first, in
			if other {
				strategy = second
			}
			if turned {
				in.Roster = reversed(in.Roster)
			}
			return plan(ctx, strategy, in)
		}}
		got := q.run()
		c := Point{Name: fmt.Sprintf("%d gateways, factor %d", len(in.Roster), in.Factor), Says: got.String(), Took: q.took, Problems: q.problems}
		r.Points = append(r.Points, c)
		if got.refused != "" {
			refusal = got.refused
		} else {
			plans++
		}
		if q.late {
			late++
		}
		if late == enough {
			r.add("it was late for %d rosters; the others are left out", late)
			return
		}
	}
	if plans == 0 {
		r.add("it refuses every roster, the last with: %s; options that it needs are given with --option NAME=VALUE", strings.TrimPrefix(refusal, strategies.ErrRefused.Error()+": "))
	}
}

// plan takes one plan, checked.
func plan(ctx context.Context, r strategies.Replication, in strategies.PlanInput) (planned, error) {
	p, err := r.Plan(ctx, in)
	switch {
	case errors.Is(err, strategies.ErrRefused):
		return planned{refused: err.Error()}, nil
	case ctx.Err() != nil:
		return planned{}, ctx.Err()
	case err != nil:
		return planned{}, err
	}
	if _, stores := r.(strategies.Store); p.Class == strategies.Stored && !stores {
		return planned{}, errors.New("its plan is to store, and it is no store: it needs the methods of strategies.Store")
	}
	return planned{plan: p}, p.Validate()
}
