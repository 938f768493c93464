package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/quorate/quorate/internal/sources"
	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/consul"
	"github.com/quorate/quorate/regions/discovery"
	"github.com/quorate/quorate/regions/dns"
)

// origin is where nodes come from.
type origin struct {
	service, source int // as the configuration lists them
	name            string
	key             string // of a DNS source in the file
}

// source asks one source of a service, and then the nodes that it names.
func (e *examination) source(ctx context.Context, from origin, s discovery.Source, consulAnswers *endpoint) {
	if strings.HasPrefix(from.name, "gateways:") {
		return // see peers
	}
	asking, cancel := e.half(ctx)
	defer cancel()
	var nodes []regions.Proposal
	switch s := s.(type) {
	case *dns.Source:
		nodes = e.dns(asking, from, s)
	case *consul.Source:
		if consulAnswers.await(asking) {
			nodes = e.instances(asking, from, s)
		}
	default:
		if nodes = first(asking, s).Nodes; len(nodes) == 0 {
			e.begin(place{subject: aboutService, first: from.service, second: from.source}, "service",
				e.cfg.Services[from.service].Name+" by "+from.name).set(Warn, "no nodes are listed", fmt.Sprintf("list nodes under services[%d].discover", from.service))
		}
	}
	for _, n := range nodes {
		if n.Source != sources.Gateway {
			e.node(ctx, from, n)
		}
	}
}

// instances returns the nodes that Consul names. What it says of itself are rows of their own; here it counts what of
// its catalog can be no node.
func (e *examination) instances(ctx context.Context, from origin, s *consul.Source) []regions.Proposal {
	a := first(ctx, s)
	for _, v := range a.Voices {
		if _, why, found := strings.Cut(v.Said, "refused: "); found {
			e.begin(place{subject: aboutCatalog, first: from.service, second: from.source, third: 1}, "consul service", v.Who).
				set(Warn, "an instance is refused: "+why, "correct its registration")
		}
	}
	return a.Nodes
}

var errNothing = errors.New("nothing was said")

// first returns the first answer of a source.
func first(ctx context.Context, s discovery.Source) discovery.Answer {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	said := discovery.Answer{Err: errNothing}
	spoken := false
	_ = s.Run(ctx, func(a discovery.Answer) { // it ends with ctx
		if !spoken {
			said, spoken = a, true
		}
		cancel()
	})
	return said
}
