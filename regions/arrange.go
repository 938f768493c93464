package regions

import (
	"cmp"
	"fmt"
	"slices"
)

// arrange puts the nodes of the table's regions into its order, with defaults filled in. Tables of many
// thousand nodes are built several times a second while nodes come and go, so it sorts only what is not sorted.
func (s *Service) arrange(t *Table, si ServiceInput) {
	place := make([]int, len(si.Nodes)) // index of the node's region, -1 for one that the table does not have
	count := make([]int, len(t.Regions))
	find := t.finder()
	for i := range si.Nodes {
		place[i] = find(cmp.Or(si.Nodes[i].Region, t.Region))
		if place[i] >= 0 {
			count[place[i]]++
		}
	}
	s.Pools = make([]Pool, len(t.Regions))
	next, at := make([]int, len(t.Regions)), 0
	for r, n := range count {
		next[r] = at
		s.Pools[r] = Pool{at, at + n}
		at += n
	}
	s.Nodes = make([]Node, at)
	for i, r := range place {
		if r >= 0 {
			s.Nodes[next[r]] = withDefaults(si.Nodes[i], t.Region, si.Name)
			next[r]++
		}
	}
	for _, p := range s.Pools {
		if pool := s.Nodes[p.From:p.To]; !sorted(pool) {
			sortByID(pool)
		}
	}
}

// sortByID sorts places and moves each node once: they are large.
func sortByID(pool []Node) {
	places := make([]int32, len(pool))
	for i := range places {
		places[i] = int32(i)
	}
	slices.SortFunc(places, func(a, b int32) int { return cmp.Compare(pool[a].ID, pool[b].ID) })
	old := slices.Clone(pool)
	for i, p := range places {
		pool[i] = old[p]
	}
}

// sorted looks at the ids where they are: comparing nodes would copy them.
func sorted(pool []Node) bool {
	for i := 1; i < len(pool); i++ {
		if pool[i].ID < pool[i-1].ID {
			return false
		}
	}
	return true
}

// finder returns a function from a region's name to its index, -1 for a name that the table does not have.
// Sources list nodes region by region, so the last answer is usually the next one.
func (t *Table) finder() func(string) int {
	order := make(map[string]int, len(t.Regions))
	for i := range t.Regions {
		order[t.Regions[i].Name] = i
	}
	last, at := t.Region, 0
	return func(name string) int {
		if name == last {
			return at
		}
		i, ok := order[name]
		if !ok {
			return -1
		}
		last, at = name, i
		return i
	}
}

// check makes the lookup by id and returns what is wrong with the nodes. Ids are judged over all regions,
// unknown ones too: breakers, counters and affinity are keyed by them. What the table before has found good
// is not looked at again.
func (s *Service) check(t *Table, si ServiceInput, before *Service) (problems []error) {
	same := before != nil && len(s.Nodes) == len(si.Nodes) && s.sameIDs(before)
	for i := range s.Nodes {
		n := &s.Nodes[i]
		if same && n.Proposal == before.Nodes[i].Proposal {
			continue
		}
		problems = append(problems, checkNode(si.Name, n)...)
	}
	if same {
		s.byID = before.byID
		return problems
	}
	s.byID = make(map[NodeID]int, len(s.Nodes))
	for i := range s.Nodes {
		n := &s.Nodes[i]
		if other, taken := s.byID[n.ID]; taken {
			problems = append(problems, duplicate(si.Name, &s.Nodes[other], n))
		}
		s.byID[n.ID] = i
	}
	if len(s.Nodes) == len(si.Nodes) {
		return problems
	}
	return append(problems, s.checkUnplaced(t, si)...)
}

// checkUnplaced judges nodes of regions that the table does not have.
func (s *Service) checkUnplaced(t *Table, si ServiceInput) (problems []error) {
	find, seen := t.finder(), make(map[NodeID]*Node)
	for i := range si.Nodes {
		n := withDefaults(si.Nodes[i], t.Region, si.Name)
		if find(n.Region) >= 0 {
			continue
		}
		problems = append(problems, checkNode(si.Name, &n)...)
		if at, taken := s.byID[n.ID]; taken {
			problems = append(problems, duplicate(si.Name, &s.Nodes[at], &n))
		} else if other := seen[n.ID]; other != nil {
			problems = append(problems, duplicate(si.Name, other, &n))
		}
		seen[n.ID] = &n
	}
	return problems
}

func checkNode(service string, n *Node) (problems []error) {
	if err := CheckProposal(n.Proposal); err != nil {
		problems = append(problems, fmt.Errorf("service %q: %w", service, err))
	}
	if n.Service != service {
		problems = append(problems, fmt.Errorf("%w: node %q belongs to service %q, not %q", ErrInvalidNode, n.ID, n.Service, service))
	}
	return problems
}

// sameIDs reports whether both hold the same ids in the same places.
func (s *Service) sameIDs(o *Service) bool {
	if len(s.Nodes) != len(o.Nodes) {
		return false
	}
	for i := range s.Nodes {
		if s.Nodes[i].ID != o.Nodes[i].ID {
			return false
		}
	}
	return true
}
