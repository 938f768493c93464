package plugintest

import (
	"context"

	strategyv1 "github.com/quorate/quorate/plugins/v1"
	"github.com/quorate/quorate/strategies"
)

// T is what Run needs of a *testing.T.
type T interface {
	Helper()
	Errorf(format string, args ...any)
	Logf(format string, args ...any)
}

// Run runs the suite in an author's own test, on the decision function that the author's main gives to plugins.Serve.
// It asks through the wire's encoding but starts no process; quorate strategy check does.
func Run(t T, decide strategies.Func, options map[string]string) {
	t.Helper()
	report := Check(context.Background(), Config{Start: InProcess(decide), Options: options})
	for _, c := range report.Results {
		for _, p := range c.Problems {
			t.Errorf("%s: %s", c.Case.Name, p)
		}
		if len(c.Problems) == 0 {
			t.Logf("%s: %s%s", c.Case.Name, short(c.Rule), c.Refused)
		}
	}
	for _, p := range report.Problems {
		t.Errorf("%s", p)
	}
}

// InProcess starts a decision function without a process.
func InProcess(decide strategies.Func) func(context.Context) (Decider, func(), error) {
	return func(context.Context) (Decider, func(), error) { return inProcess(decide), func() {}, nil }
}

// inProcess asks a function as if it were over the wire.
type inProcess strategies.Func

// Decide implements Decider.
func (f inProcess) Decide(_ context.Context, in strategies.Input) (strategies.Rule, error) {
	in, err := strategyv1.FromInput(in).Input()
	if err != nil {
		return strategies.Rule{}, err
	}
	r, err := f(in)
	if err != nil {
		return strategies.Rule{}, err
	}
	return (&strategyv1.DecideResponse{Rule: strategyv1.FromRule(r)}).Valid()
}
