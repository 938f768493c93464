// Package static is the source of nodes that are written down in the configuration. It must not
// know files, health, the table or any other source.
package static

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/quorate/quorate/regions"
)

// Name is what proposals of this source carry in their Source field.
const Name = "static"

// Node is one written-down node.
type Node struct {
	ID     string // unique in the service
	URL    string // http or https, with the MCP endpoint's path
	Weight int    // 1..1000; 0 means 1
}

// Config says what a Source proposes.
type Config struct {
	Service string // the service's name; required
	Region  string // the region that the nodes are in; required
	Nodes   []Node // may be empty: a service may be declared before its nodes are
}

// Source proposes a fixed set of nodes. A changed configuration makes a new Source; what the new
// one no longer names is thereby deregistered.
type Source struct {
	set []regions.Proposal
}

// New returns a Source, or every problem of cfg at once: a missing name, an invalid node, an id
// given twice, or one URL under two ids (one process would count as two).
func New(cfg Config) (*Source, error) {
	var problems []error
	if cfg.Service == "" || cfg.Region == "" {
		problems = append(problems, errors.New("service and region are required"))
	}
	s := &Source{set: make([]regions.Proposal, 0, len(cfg.Nodes))}
	ids, urls := map[string]bool{}, map[string]string{}
	for _, n := range cfg.Nodes {
		p := proposal(cfg, n)
		problems = append(problems, check(p, ids, urls))
		s.set = append(s.set, p)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("static: service %q: %w", cfg.Service, err)
	}
	return s, nil
}

func proposal(cfg Config, n Node) regions.Proposal {
	return regions.Proposal{
		ID: regions.NodeID(n.ID), Service: cfg.Service, URL: n.URL, Region: cfg.Region,
		Source: Name, Weight: cmp.Or(n.Weight, 1),
	}
}

// check returns the first problem of p, given what came before it.
func check(p regions.Proposal, ids map[string]bool, urls map[string]string) error {
	if err := regions.CheckProposal(p); err != nil {
		return err
	}
	id := string(p.ID)
	if ids[id] {
		return fmt.Errorf("%w: id %q is given twice", regions.ErrDuplicateNode, id)
	}
	if other, taken := urls[p.URL]; taken {
		return fmt.Errorf("%w: nodes %q and %q have the same url", regions.ErrDuplicateNode, other, id)
	}
	ids[id], urls[p.URL] = true, id
	return nil
}

// Proposals returns the full set, in the order of the configuration. The caller owns the slice.
func (s *Source) Proposals() []regions.Proposal { return slices.Clone(s.set) }

// Run emits the full set once and then waits for ctx, whose error it returns. Sources that learn
// of changes emit again; this one never does.
func (s *Source) Run(ctx context.Context, emit func(full []regions.Proposal)) error {
	emit(s.Proposals())
	<-ctx.Done()
	return ctx.Err()
}
