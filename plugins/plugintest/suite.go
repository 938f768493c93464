// Package plugintest is the contract suite of strategies: whoever passes it is of use to a gateway, and whoever fails it
// is told where and why. It must not know how a strategy is run: the caller starts it.
package plugintest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/quorate/quorate/strategies"
)

// Limit is how long a decision may take.
const Limit = 50 * time.Millisecond

// enough rosters for which a strategy is late: waiting for more shows nothing new.
const enough = 2

// Decider is a strategy that has been started.
type Decider interface {
	// Decide returns its rule. The error wraps strategies.ErrRefused where it has none.
	Decide(context.Context, strategies.Input) (strategies.Rule, error)
}

// Config says what to test.
type Config struct {
	// Start starts the strategy, anew each time, and returns it with what ends it.
	Start func(context.Context) (Decider, func(), error)
	// Options are passed on to the strategy.
	Options map[string]string
}

// Result is what came of one case: a rule, a refusal, or problems.
type Result struct {
	Case    Case
	Rule    strategies.Rule // in canonical form, if there are neither Refused nor Problems
	Refused string
	Took    time.Duration // the quickest decision
	// Problems are what is wrong, with what to do; a strategy may be used when no case has any.
	Problems []string
}

// Report is the outcome of the suite.
type Report struct {
	Results []Result
	// Problems are those that are no single case's, such as a strategy that does not start.
	Problems []string
}

// Failed reports whether the strategy breaks the contract.
func (r Report) Failed() bool {
	for _, c := range r.Results {
		if len(c.Problems) > 0 {
			return true
		}
	}
	return len(r.Problems) > 0
}

// Check runs the suite. The strategy is started twice, as two gateways would.
func Check(ctx context.Context, cfg Config) Report {
	var report Report
	first, end, err := cfg.Start(ctx)
	if err != nil {
		report.add("it does not start: %v", err)
		return report
	}
	defer end()
	second, end, err := cfg.Start(ctx)
	if err != nil {
		report.add("it does not start a second time, beside the first: %v; it must not hold what only one process can have", err)
		return report
	}
	defer end()
	late := 0
	for _, c := range Cases(cfg.Options) {
		s := suite{ctx: ctx, first: first, second: second, result: Result{Case: c}}
		s.run()
		report.Results = append(report.Results, s.result)
		if s.late {
			late++
		}
		if late == enough {
			report.add("it was late for %d rosters; the others are left out", late)
			break
		}
	}
	report.someRule()
	return report
}

func (r *Report) add(format string, args ...any) {
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

// someRule wants a rule for one roster at least.
func (r *Report) someRule() {
	for _, c := range r.Results {
		if c.Refused == "" {
			return
		}
	}
	r.add("it refuses every roster, the first with: %s; options that it needs are given with --option NAME=VALUE, and the gateways of the suite are gw-1, gw-2 ...", r.Results[0].Refused)
}

// suite is one case under way.
type suite struct {
	ctx           context.Context
	first, second Decider
	result        Result
	late          bool
}

// answer is a rule in canonical form, or a refusal.
type answer struct {
	rule    strategies.Rule
	refused string
}

// String is the same for answers that come to the same.
func (a answer) String() string {
	if a.refused != "" {
		return "a refusal"
	}
	return a.rule.String()
}

func (s *suite) run() {
	q := questions[answer]{ctx: s.ctx, explain: explain, ask: func(ctx context.Context, second, turned bool) (answer, error) {
		d, in := s.first, s.result.Case.Input
		if second {
			d = s.second
		}
		if turned {
			in.Roster = reversed(in.Roster)
		}
		return ask(ctx, d, in)
	}}
	want := q.run()
	s.late = q.late
	s.result.Rule, s.result.Refused = want.rule, want.refused
	s.result.Took, s.result.Problems = q.took, q.problems
}

// ask takes one answer, admitted.
func ask(ctx context.Context, d Decider, in strategies.Input) (answer, error) {
	r, err := d.Decide(ctx, in)
	switch {
	case errors.Is(err, strategies.ErrRefused):
		return answer{refused: err.Error()}, nil
	case ctx.Err() != nil:
		return answer{}, ctx.Err()
	case err != nil:
		return answer{}, err
	}
	r, err = strategies.Admit(in, r)
	return answer{rule: r}, err
}

// explain adds what to do to an error.
func explain(err error) string {
	var (
		split     *strategies.SplitError
		strangers *strategies.Strangers
	)
	switch {
	case errors.As(err, &split):
		return fmt.Sprintf("two sides of a partition could both write under %v:\n  side A {%s} satisfies it\n  side B {%s} satisfies it, and they share no voter\nraise the need until any two sets that satisfy the rule have a voter in common", split.Rule, list(split.A), list(split.B))
	case errors.As(err, &strangers):
		return fmt.Sprintf("the rule names %s, no voter of the roster; a rule may name gateways with the role voter or witness only", list(strangers.Names))
	case errors.Is(err, strategies.ErrTooHard):
		return fmt.Sprintf("%v", err)
	case errors.Is(err, strategies.ErrBothNeeded):
		return fmt.Sprintf("%v. A strategy refuses such a roster itself, with what to do instead, unless declared_voters says that a third is to come", err)
	}
	return err.Error()
}
