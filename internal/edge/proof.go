package edge

import (
	"slices"

	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/sources"
	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/dns"
	"github.com/quorate/quorate/regions/identity"
)

// proof is what a service's file asks of every node, whoever named it and when: what is known from disk, or of a
// source that is not heard any more, may be of a time when less was asked for.
type proof struct {
	want regions.Identity
	// target says that nodes of DNS prove the name under which they were found, in place of want.TLSName.
	target bool
}

func proofOf(s *config.Service) proof {
	return proof{want: s.Identity.Of(), target: slices.ContainsFunc(s.Discover, func(d config.Discover) bool { return d.DNS != nil && d.DNS.TargetName })}
}

// of returns a node with all that it has to prove; false for one that has no way to. Another region's gateway proves
// itself to its link.
func (p proof) of(n regions.Proposal) (regions.Proposal, bool) {
	if n.Source == sources.Gateway {
		return n, true
	}
	want := p.want
	if p.target && n.Source == dns.Name && n.Identity.TLSName != "" {
		want.TLSName = ""
	}
	n.Identity = identity.AtLeast(n.Identity, want)
	return n, regions.CheckProposal(n) == nil
}

// all returns the nodes so held, without those that have no way to prove it. nodes is not written to.
func (p proof) all(nodes []regions.Proposal) []regions.Proposal {
	held := make([]regions.Proposal, 0, len(nodes))
	for _, n := range nodes {
		if n, ok := p.of(n); ok {
			held = append(held, n)
		}
	}
	return held
}
