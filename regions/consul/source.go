package consul

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/discovery"
)

// Config says what a Source watches: one service in one datacenter, so that an outage of one touches no other.
type Config struct {
	Client        *Client // required
	Service       string  // the service's name here; required
	ConsulService string  // its name in Consul; default Service
	Datacenter    string  // Consul's; "": the agent's own
	Region        string  // that the datacenter's nodes are in; required
	// Tag that an instance must have, "" for any, compared without regard to case. One that loses it is deregistered.
	Tag string
	// Scheme and Path of a node's URL where its meta has none. Default "https" for an instance that has to prove an
	// identity, else "http"; and "/mcp".
	Scheme, Path string
	// Identity is what every node must prove; an instance's meta can add to it.
	Identity regions.Identity

	// Wait is how long Consul holds a question open while nothing changes, 1 s..10 m, default 30 s. A server that hangs
	// is noticed after Wait, a sixteenth of it, the client's timeout, and up to 2 s in which the endpoint itself is asked.
	Wait time.Duration
	// MaxStale is how long ago the server that answers may have heard from its leader, from 1 ms, default 10 s.
	MaxStale time.Duration
	// Hold is how long an instance is kept whose absence is not believed, as after a catalog began again from nothing,
	// 1 s..24 h, default 15 m. It should be longer than the time after which a node that fails verification is given up.
	Hold time.Duration
	// BackoffMin and BackoffMax bound the wait after a failure, which doubles, from 10 ms; default 100 ms and 5 s.
	BackoffMin, BackoffMax time.Duration
	// Known are proposals of this source from before the process started, as from disk. Answers that miss them are judged
	// as if an earlier one had named them.
	Known []regions.Proposal

	random func() float64 // uniform in [0,1); tests make it constant
}

func (c *Config) withDefaults() {
	c.ConsulService = cmp.Or(c.ConsulService, c.Service)
	c.Path = cmp.Or(c.Path, "/mcp")
	c.Wait = cmp.Or(c.Wait, 30*time.Second)
	c.MaxStale = cmp.Or(c.MaxStale, 10*time.Second)
	c.Hold = cmp.Or(c.Hold, 15*time.Minute)
	c.BackoffMin = cmp.Or(c.BackoffMin, 100*time.Millisecond)
	c.BackoffMax = cmp.Or(c.BackoffMax, max(5*time.Second, c.BackoffMin))
	if c.random == nil {
		c.random = rand.Float64
	}
}

func (c *Config) problems() []error {
	var problems []error
	bad := func(is bool, format string, args ...any) {
		if is {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	bad(c.Client == nil, "client is required")
	bad(c.Service == "" || c.Region == "", "service and region are required")
	bad(!catalogName(c.ConsulService), "consul service %q is not a name", c.ConsulService)
	bad(c.Datacenter != "" && !catalogName(c.Datacenter), "datacenter %q is not a name", c.Datacenter)
	bad(c.Scheme != "" && c.Scheme != "http" && c.Scheme != "https", "scheme %q is neither http nor https", c.Scheme)
	bad(!strings.HasPrefix(c.Path, "/") || strings.ContainsAny(c.Path, " ?#"), "path %q is not a path", c.Path)
	bad(c.Wait < time.Second || c.Wait > 10*time.Minute, "wait %s is outside 1s..10m", c.Wait)
	bad(c.MaxStale < time.Millisecond, "max stale %s is below 1ms", c.MaxStale)
	bad(c.Hold < time.Second || c.Hold > 24*time.Hour, "hold %s is outside 1s..24h", c.Hold)
	bad(c.BackoffMin < 10*time.Millisecond || c.BackoffMax < c.BackoffMin || c.BackoffMax > time.Minute,
		"backoff %s..%s is outside 10ms..1m", c.BackoffMin, c.BackoffMax)
	return problems
}

// catalogName keeps a name from changing the meaning of a request's path.
func catalogName(s string) bool {
	return s != "" && len(s) <= 253 && s != "." && s != ".." && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune("/?#%\\", r)
	})
}

// Source proposes the nodes of one service in one datacenter. A node's id is the instance's id, Consul node and
// datacenter, ID@NODE.DATACENTER: unique, and the same in every gateway. The rules for what its answers remove are those
// of judge.
type Source struct {
	cfg   Config
	watch watch[regions.Proposal]
}

var _ discovery.Source = (*Source)(nil)

// New returns a Source, or every problem of cfg at once.
func New(cfg Config) (*Source, error) {
	cfg.withDefaults()
	if err := errors.Join(cfg.problems()...); err != nil {
		return nil, fmt.Errorf("consul: service %q: %w", cfg.Service, err)
	}
	s := &Source{cfg: cfg}
	s.watch = watch[regions.Proposal]{question: cfg.question(), convert: s.cfg.proposal, items: map[string]regions.Proposal{}}
	recall(&s.watch, cfg.Known)
	return s, nil
}

func (c *Config) question() question {
	return question{
		client: c.Client, service: c.ConsulService, datacenter: c.Datacenter, tag: c.Tag,
		wait: c.Wait, maxStale: c.MaxStale, hold: c.Hold, least: c.BackoffMin, most: c.BackoffMax, random: c.random,
	}
}

// recall makes a watch remember what earlier processes knew, without being sure of it.
func recall(w *watch[regions.Proposal], known []regions.Proposal) {
	for _, p := range known {
		w.items[string(p.ID)] = p
	}
	w.memory.known = slices.Sorted(maps.Keys(w.items))
	w.memory.unsure = w.memory.known
}

// Run implements discovery.Source. It must not run twice at once; what it remembers outlives it.
func (s *Source) Run(ctx context.Context, emit func(discovery.Answer)) error {
	s.watch.run(ctx, func(o outcome[regions.Proposal]) { emit(s.answer(o)) })
	return nil
}

func (s *Source) answer(o outcome[regions.Proposal]) discovery.Answer {
	scale(o.items)
	return discovery.Answer{
		Nodes: o.items, Removes: o.removes, Err: o.err,
		Voices: []discovery.Voice{{Who: s.watch.who(), Said: line(o.said, 200), Agree: o.err == nil, Took: o.took}},
	}
}
