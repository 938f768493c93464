// Package regional drives regional failover in one gateway: it is the only writer of the fleet's state there,
// feeds it with evidence, other gateways' opinions and operators' orders, and keeps the orders on disk. It
// must not know how evidence is collected, how views travel, or how tables are built and requests routed.
package regional

import (
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/failover"
)

// Errors that callers branch on.
var (
	// ErrUnknownRegion: no region has that name.
	ErrUnknownRegion = failover.ErrUnknownRegion
	// ErrLastRegion: the order would leave no region in service.
	ErrLastRegion = failover.ErrLastRegion
	// ErrBadOrder: the order itself makes no sense.
	ErrBadOrder = errors.New("bad order")
	// ErrNotSaved: the order is in force and known to the others, but the disk does not have it yet.
	ErrNotSaved = errors.New("in force, but not saved: a restart of this gateway may lose it")
)

// MaxOver is the longest time over which an order may shift traffic.
const MaxOver = 24 * time.Hour

// name is the form of the names of regions and gateways, as in the configuration.
var name = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// Evidence is what this gateway knows of one region at one moment.
type Evidence struct {
	Region      string
	Reachable   bool    // something there answers
	Health      float64 // part of its verified nodes that are healthy, 0..1, by weight
	Nodes       int     // nodes it should have; with 0 nothing is judged
	BreakerOpen bool    // the data plane has stopped sending there
	RTT         time.Duration
	Class       regions.Class
	Demand      float64 // requests in flight there
	Capacity    float64 // requests it can have in flight; 0: unknown
}

// Remote is another region as configured.
type Remote struct {
	Name     string
	Via      regions.Via
	Seed     time.Duration // round trip until one is measured
	Capacity int           // foreign requests it takes at once; 0: what it learns
}

// Config is what a Driver needs.
type Config struct {
	Gateway, Region string // required: this gateway and where it runs
	Regions         []Remote
	Capacity        int // of this gateway's own region
	// Bounds give a region its class until there is evidence; zero: the defaults.
	Bounds regions.Bounds
	// DataDir holds orders.json; it is made where it is missing. Empty: orders do not survive a restart.
	DataDir  string
	Failover failover.Config
	// Gather shows every region as it stands. It is called five times per Failover.Interval, by Run only.
	Gather func() []Evidence
	// Changed is called when Regions has changed. It must not block; nil: nobody is told.
	Changed func()
	// Publish is called with the new View after every check and order. It must not block; nil: nobody is told.
	Publish func(View)
	// Agreed holds the orders that a control group agreed on, and Propose has it agree on one and returns once Agreed
	// has it. Both or neither; without them orders travel in views alone.
	Agreed  *Agreed
	Propose func(command []byte) error
	Logger  *slog.Logger
}

func (c *Config) check() error {
	var problems []error
	bad := func(is bool, format string, args ...any) {
		if is {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	bad(!name.MatchString(c.Gateway), "gateway %q is not a name", c.Gateway)
	bad(!name.MatchString(c.Region), "region %q is not a name", c.Region)
	bad(c.Gather == nil, "gather is required")
	bad(c.Logger == nil, "logger is required")
	bad((c.Agreed == nil) != (c.Propose == nil), "agreed and propose belong together")
	problems = append(problems, checkRemotes(c.Regions, c.Capacity)...)
	if c.Bounds == (regions.Bounds{}) {
		c.Bounds = regions.DefaultBounds()
	}
	if err := c.Bounds.Check(); err != nil {
		problems = append(problems, err)
	}
	if c.Changed == nil {
		c.Changed = func() {}
	}
	if c.Publish == nil {
		c.Publish = func(View) {}
	}
	return errors.Join(problems...)
}

func checkRemotes(remotes []Remote, capacity int) (problems []error) {
	if capacity < 0 {
		problems = append(problems, fmt.Errorf("capacity %d of the own region is negative", capacity))
	}
	for _, r := range remotes {
		if !name.MatchString(r.Name) || r.Seed < 0 || r.Capacity < 0 {
			problems = append(problems, fmt.Errorf("region %q: name, round trip %s or capacity %d is out of range", r.Name, r.Seed, r.Capacity))
		}
	}
	return problems
}

func names(remotes []Remote) []string {
	out := make([]string, len(remotes))
	for i := range remotes {
		out[i] = remotes[i].Name
	}
	return out
}
