package regions

import (
	"cmp"
	"slices"
)

// Table is the routing snapshot. It is immutable: readers share it without locks, and a request
// loads it exactly once.
type Table struct {
	Version uint64 // one more than the table before it; the first is 1
	Region  string // the region this gateway runs in
	ByPath  map[string]*Service
	ByName  map[string]*Service
}

// Service is one logical MCP server with its pool in the table's region.
type Service struct {
	Name, Path string
	Nodes      []Node          // the local pool, sorted by id
	Eras       Eras            // every era that a node of it was ever verified to speak
	Tools      map[string]Tool // by tool name; the least free annotation of any node wins
}

// Node returns the node with the given id, or nil. It takes O(log n) and allocates nothing.
func (s *Service) Node(id NodeID) *Node {
	i, ok := slices.BinarySearchFunc(s.Nodes, id, func(n Node, id NodeID) int { return cmp.Compare(n.ID, id) })
	if !ok {
		return nil
	}
	return &s.Nodes[i]
}

// mergeTools joins what the nodes say of their tools. A call may land on any of them, so a tool
// is only as free as the strictest node that lists it says. Read-only implies idempotent here, so
// that "read-only on one, idempotent on the other" comes out idempotent.
func mergeTools(nodes []Node) map[string]Tool {
	merged := map[string]Tool{}
	for i := range nodes {
		if nodes[i].Facts == nil {
			continue
		}
		for name, t := range nodes[i].Facts.Tools {
			t.Idempotent = t.Idempotent || t.ReadOnly
			if had, ok := merged[name]; ok {
				t.ReadOnly = t.ReadOnly && had.ReadOnly
				t.Idempotent = t.Idempotent && had.Idempotent
			}
			merged[name] = t
		}
	}
	return merged
}
