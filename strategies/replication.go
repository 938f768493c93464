package strategies

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Limits of a plan. What an operator writes is within them too.
const (
	MaxCopies   = 8
	MinTimeout  = 100 * time.Millisecond
	MaxTimeout  = time.Minute
	MaxRetries  = 10
	MaxSettings = 16 << 10
)

// Class is what keeps contents besides the gateway that a session belongs to.
type Class uint8

const (
	// Async keeps copies at other gateways. What was not copied yet is lost with the gateway; how much that is
	// is measured.
	Async Class = iota + 1
	// Quorum commits contents in the control group before the agent is answered. Nothing acknowledged is lost.
	Quorum
	// Stored keeps contents in the strategy's own Store.
	Stored
)

// String returns the word used in status.
func (c Class) String() string {
	if c < Async || c > Stored {
		return "invalid"
	}
	return [...]string{"", "async", "quorum", "store"}[c]
}

// Spread is which gateways copies go to first.
type Spread uint8

const (
	// SpreadRegion takes gateways of regions that have no copy yet, as long as there are any.
	SpreadRegion Spread = iota + 1
	// SpreadNone takes them as they come, its own region's too.
	SpreadNone
)

// String returns the word used in status.
func (s Spread) String() string {
	if s < SpreadRegion || s > SpreadNone {
		return "invalid"
	}
	return [...]string{"", "region", "none"}[s]
}

// PlanInput is what a replication strategy plans from. The same input must give the same plan, in whatever order the
// roster stands.
type PlanInput struct {
	Service string // whose sessions are meant; a name as a gateway's, see Gateway
	Roster  Roster
	// Factor, Timeout and Retries are as the operator wrote them: copies on other gateways, 0..MaxCopies, the time
	// of one try, MinTimeout..MaxTimeout, and tries, 1..MaxRetries.
	Factor  int
	Timeout time.Duration
	Retries int
	// Options are the strategy's own settings, at most MaxOptions.
	Options map[string]string
}

// Validate returns every problem of an input.
func (in PlanInput) Validate() error {
	problems := []error{in.Roster.Validate(), validOptions(in.Options), validTimes(in.Factor, in.Timeout, in.Retries)}
	if !isName(in.Service) {
		problems = append(problems, fmt.Errorf("strategies: service %.64q is not a name", in.Service))
	}
	return errors.Join(problems...)
}

// Carriers returns how many gateways of the roster carry traffic, and so may hold copies.
func (r Roster) Carriers() int {
	n := 0
	for _, g := range r {
		if g.Role != Witness {
			n++
		}
	}
	return n
}

// Plan is how contents are kept. It never says who owns a session: a stale or a bad plan only puts a copy elsewhere.
type Plan struct {
	Class   Class
	Copies  int           // on other gateways, 0..MaxCopies; of no meaning to Quorum and Stored
	Timeout time.Duration // of one try, MinTimeout..MaxTimeout
	Retries int           // tries, 1..MaxRetries
	Spread  Spread
}

// Validate returns every problem of a plan.
func (p Plan) Validate() error {
	problems := []error{validTimes(p.Copies, p.Timeout, p.Retries)}
	if p.Class.String() == "invalid" {
		problems = append(problems, fmt.Errorf("strategies: class %d is not async, quorum or store", p.Class))
	}
	if p.Spread.String() == "invalid" {
		problems = append(problems, fmt.Errorf("strategies: spread %d is not region or none", p.Spread))
	}
	return errors.Join(problems...)
}

// Within returns the plan with no more copies than a roster has other gateways for.
func (p Plan) Within(r Roster) Plan {
	p.Copies = min(p.Copies, max(r.Carriers()-1, 0))
	return p
}

// String is the plan as status has it.
func (p Plan) String() string {
	return fmt.Sprintf("%s, %d copies, spread over %s, %d tries of %s", p.Class, p.Copies, p.Spread, p.Retries, p.Timeout)
}

// validTimes judges what an operator writes and a plan answers.
func validTimes(copies int, timeout time.Duration, retries int) error {
	var problems []error
	if copies < 0 || copies > MaxCopies {
		problems = append(problems, fmt.Errorf("strategies: %d copies are outside 0..%d", copies, MaxCopies))
	}
	if timeout < MinTimeout || timeout > MaxTimeout {
		problems = append(problems, fmt.Errorf("strategies: timeout %s is outside %s..%s", timeout, MinTimeout, MaxTimeout))
	}
	if retries < 1 || retries > MaxRetries {
		problems = append(problems, fmt.Errorf("strategies: %d tries are outside 1..%d", retries, MaxRetries))
	}
	return errors.Join(problems...)
}

// Replication is a replication strategy. Its methods may be called concurrently.
//
// It may do more, by having the methods of Configured and of Store.
type Replication interface {
	// Plan returns how the contents of a service's sessions are kept, or why it has no plan (Refuse). It has
	// 50 ms. After any error the plan that is in force stays.
	Plan(context.Context, PlanInput) (Plan, error)
}

// PlanFunc is a replication strategy that is one function.
type PlanFunc func(PlanInput) (Plan, error)

// Plan implements Replication.
func (f PlanFunc) Plan(_ context.Context, in PlanInput) (Plan, error) { return f(in) }

// Settings are what a strategy is told once, before anything else.
type Settings struct {
	Gateway string // that runs it
	Region  string // of that gateway
	// JSON is the object that the operator wrote as the plugin's settings, at most MaxSettings bytes; empty: none.
	JSON string
}

// Validate returns every problem of settings.
func (s Settings) Validate() error {
	switch {
	case !isName(s.Gateway) || !isName(s.Region):
		return fmt.Errorf("strategies: gateway %.64q in region %.64q are not names", s.Gateway, s.Region)
	case len(s.JSON) > MaxSettings:
		return fmt.Errorf("strategies: settings of %d bytes, at most %d are allowed", len(s.JSON), MaxSettings)
	}
	return nil
}

// Configured is a strategy that has settings.
type Configured interface {
	// Configure is called once, before anything else. An error, such as one of Refuse, ends the process, and it
	// is started again later. It should not wait for a store: Inspect is for that.
	Configure(context.Context, Settings) error
}
