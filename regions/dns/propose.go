package dns

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/quorate/quorate/regions"
)

const (
	// maxNodes bounds the proposals of one answer.
	maxNodes = 4096
	// maxNamed bounds the name in a node's id, in bytes. The address after it makes the id unique.
	maxNamed = 63
)

// propose returns a node for every address of the endpoints, sorted by id. An address and port that two endpoints
// share is one process, and one node. Beyond maxNodes, every endpoint keeps its most named addresses.
func propose(accepted []endpoint, c Config) []regions.Proposal {
	weights := weigh(accepted)
	seen := map[netip.AddrPort]bool{}
	var nodes []regions.Proposal
	for rank, more := 0, true; more; rank++ {
		more = false
		for i, e := range accepted {
			if rank >= len(e.addrs) || len(nodes) == maxNodes {
				continue
			}
			more = true
			if at := netip.AddrPortFrom(e.addrs[rank], e.port); !seen[at] {
				seen[at] = true
				nodes = append(nodes, c.proposal(e, at, weights[i]))
			}
		}
	}
	slices.SortFunc(nodes, func(a, b regions.Proposal) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return nodes
}

// proposal has the node's address in its URL, so that whoever connects asks no resolver again.
func (c Config) proposal(e endpoint, at netip.AddrPort, weight int) regions.Proposal {
	identity := c.Identity
	if c.TargetTLSName {
		identity.TLSName = e.target
	}
	return regions.Proposal{
		ID: id(e, at), Service: c.Service, URL: c.Scheme + "://" + at.String() + c.Path, Host: e.target, Region: c.Region,
		Source: Name, Weight: weight, Identity: identity,
	}
}

// id returns "target:port@address", with the target as people know it: below the domain that was asked for, a
// StatefulSet's pod is just "mcp-0".
func id(e endpoint, at netip.AddrPort) regions.NodeID {
	named := e.target
	if below, ok := strings.CutSuffix(named, "."+domain(e.name)); ok {
		named = below
	} else if named == domain(e.name) {
		named, _, _ = strings.Cut(named, ".")
	}
	if len(named) > maxNamed {
		named = named[:maxNamed-3] + "..."
	}
	return regions.NodeID(named + ":" + strconv.Itoa(int(at.Port())) + "@" + at.Addr().String())
}

// domain is name without the labels that begin with an underscore, as in _mcp._tcp.example.com.
func domain(name string) string {
	for strings.HasPrefix(name, "_") {
		_, rest, found := strings.Cut(name, ".")
		if !found {
			break
		}
		name = rest
	}
	return name
}

// weigh returns the nodes' weights, 1..1000. RFC 2782 wants a worse priority to be used only when the better ones
// cannot be reached, which a source cannot know: endpoints of the best priority get their weights, the others 1.
// Weights are taken as they are (0 is 1) unless one is over 1000, or there are worse priorities: then the largest is
// made 1000 and the others follow, so that a worse priority gets next to nothing.
func weigh(accepted []endpoint) []int {
	weights := make([]int, len(accepted))
	if len(accepted) == 0 {
		return weights
	}
	best, largest := accepted[0].priority, 1
	for _, e := range accepted {
		if e.priority == best {
			largest = max(largest, int(e.weight))
		}
	}
	scale := largest > regions.MaxWeight || accepted[len(accepted)-1].priority != best
	for i, e := range accepted {
		w := max(int(e.weight), 1)
		switch {
		case e.priority != best:
			w = 1
		case scale:
			w = max(w*regions.MaxWeight/largest, 1)
		}
		weights[i] = w
	}
	return weights
}
