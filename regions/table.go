package regions

import "reflect"

// Table is the routing snapshot. It is immutable: readers share it without locks, and a request
// loads it exactly once.
type Table struct {
	Version uint64 // one more than the table before it; the first is 1
	Region  string // the region this gateway runs in
	ByPath  map[string]*Service
	ByName  map[string]*Service
	Bounds  Bounds
	Regions []Region // this gateway's own first, the others by round trip and name; at most MaxRegions
	plans   [Classes][Spills]Plan
}

// MaxRegions bounds the regions of one table, so that a request can hold a set of them in one word.
const MaxRegions = 64

// Plan returns the regions that a request of class c, below Beyond, may use under s.
func (t *Table) Plan(c Class, s Spill) Plan { return t.plans[c][s] }

// Service is one logical MCP server with its pools.
type Service struct {
	Name, Path string
	Nodes      []Node          // of all regions: in the order of Table.Regions, within a region by id
	Pools      []Pool          // by index in Table.Regions
	Eras       Eras            // every era that a node of it was ever verified to speak
	Tools      map[string]Tool // by tool name; the least free annotation of any node wins
	byID       map[NodeID]int
}

// Pool is one region's part of Service.Nodes: those from From to, not including, To.
type Pool struct{ From, To int }

// Node returns the node with the given id, or nil. It allocates nothing.
func (s *Service) Node(id NodeID) *Node {
	i, ok := s.byID[id]
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
	seen := make(map[uintptr]bool) // maps that were merged: verification shares one among all nodes that say the same
	for i := range nodes {
		f := nodes[i].Facts
		if f == nil || len(f.Tools) == 0 {
			continue
		}
		at := reflect.ValueOf(f.Tools).Pointer()
		if seen[at] {
			continue
		}
		seen[at] = true
		for name, t := range f.Tools {
			t.Idempotent = t.Idempotent || t.ReadOnly
			had, ok := merged[name]
			if ok {
				t.ReadOnly = t.ReadOnly && had.ReadOnly
				t.Idempotent = t.Idempotent && had.Idempotent
			}
			if !ok || t != had { // most nodes say what others said
				merged[name] = t
			}
		}
	}
	return merged
}
