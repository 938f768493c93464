package regions

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
)

// Errors that Build's error wraps, one per problem found.
var (
	ErrDuplicateService = errors.New("duplicate service")
	ErrDuplicateNode    = errors.New("duplicate node")
	ErrInvalidService   = errors.New("invalid service")
	ErrInvalidNode      = errors.New("invalid node")
)

// MaxWeight is the largest weight of a node; the smallest is 1.
const MaxWeight = 1000

// Input is everything a table is made from.
type Input struct {
	Previous *Table // the table this one replaces; nil for the first. Gives the version and the eras to keep
	Region   string // this gateway's region
	Services []ServiceInput
}

// ServiceInput is one service as configured, with its nodes as verification sees them.
type ServiceInput struct {
	Name, Path string
	Eras       Eras   // known from elsewhere, such as a table kept on disk; added to what is verified
	Nodes      []Node // full set; nodes of other regions are left out of the pool
}

// Build makes the next table, or returns every problem at once and no table, so that the caller
// keeps the old one. It is pure and keeps no reference to in except to Facts, which are immutable.
//
// Eras are sticky: a client caches one era per URL, so a service goes on offering an era while no
// node that speaks it is up, for as long as name and path stay the same.
func Build(in Input) (*Table, error) {
	t := &Table{Version: 1, Region: in.Region, ByPath: map[string]*Service{}, ByName: map[string]*Service{}}
	if in.Previous != nil {
		t.Version = in.Previous.Version + 1
	}
	var problems []error
	for _, si := range in.Services {
		s, errs := buildService(in, si)
		problems = append(problems, errs...)
		problems = append(problems, t.add(s)...)
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("regions: build: %w", errors.Join(problems...))
	}
	return t, nil
}

// add indexes s and reports names and paths that are taken.
func (t *Table) add(s *Service) (problems []error) {
	if other, taken := t.ByName[s.Name]; taken {
		problems = append(problems, fmt.Errorf("%w: name %q is used at path %q and at path %q", ErrDuplicateService, s.Name, other.Path, s.Path))
	}
	if other, taken := t.ByPath[s.Path]; taken {
		problems = append(problems, fmt.Errorf("%w: path %q is used by service %q and by service %q", ErrDuplicateService, s.Path, other.Name, s.Name))
	}
	t.ByName[s.Name], t.ByPath[s.Path] = s, s
	return problems
}

func buildService(in Input, si ServiceInput) (*Service, []error) {
	var problems []error
	if err := checkService(si); err != nil {
		problems = append(problems, err)
	}
	nodes, errs := pool(in.Region, si)
	problems = append(problems, errs...)
	s := &Service{Name: si.Name, Path: si.Path, Nodes: nodes, Eras: stickyEras(in.Previous, si), Tools: mergeTools(nodes)}
	return s, problems
}

func checkService(si ServiceInput) error {
	switch {
	case si.Name == "":
		return fmt.Errorf("%w: a service needs a name (path %q)", ErrInvalidService, si.Path)
	case !strings.HasPrefix(si.Path, "/") || path.Clean(si.Path) != si.Path:
		return fmt.Errorf("%w: service %q: path %q must start with / and be clean", ErrInvalidService, si.Name, si.Path)
	}
	return nil
}

// pool returns the nodes of region, sorted by id, with defaults filled in. Ids are judged over all
// regions: breakers, counters and affinity are keyed by them.
func pool(region string, si ServiceInput) ([]Node, []error) {
	var problems []error
	local := make([]Node, 0, len(si.Nodes))
	seen := make(map[NodeID]*Node, len(si.Nodes))
	for _, n := range si.Nodes {
		n = withDefaults(n, region, si.Name)
		if err := CheckProposal(n.Proposal); err != nil {
			problems = append(problems, fmt.Errorf("service %q: %w", si.Name, err))
		}
		if n.Service != si.Name {
			problems = append(problems, fmt.Errorf("%w: node %q belongs to service %q, not %q", ErrInvalidNode, n.ID, n.Service, si.Name))
		}
		if other := seen[n.ID]; other != nil {
			problems = append(problems, duplicate(si.Name, other, &n))
		}
		seen[n.ID] = &n
		if n.Region == region {
			local = append(local, n)
		}
	}
	slices.SortFunc(local, func(a, b Node) int { return cmp.Compare(a.ID, b.ID) })
	return local, problems
}

func withDefaults(n Node, region, service string) Node {
	n.Region = cmp.Or(n.Region, region)
	n.Service = cmp.Or(n.Service, service)
	n.Weight = cmp.Or(n.Weight, 1)
	return n
}

// duplicate says whether two entries with one id agree, because the cure differs.
func duplicate(service string, a, b *Node) error {
	if a.URL == b.URL {
		return fmt.Errorf("%w: service %q: node %q is listed twice (by %q and %q)", ErrDuplicateNode, service, a.ID, a.Source, b.Source)
	}
	return fmt.Errorf("%w: service %q: id %q names two nodes, %s (from %q) and %s (from %q)", ErrDuplicateNode, service, a.ID, a.URL, a.Source, b.URL, b.Source)
}

// CheckProposal reports the first problem of a proposed node; every source holds its proposals
// against it before it emits them. Weight 0 stands for the default.
func CheckProposal(p Proposal) error {
	switch {
	case p.ID == "":
		return fmt.Errorf("%w: a node needs an id (url %q)", ErrInvalidNode, p.URL)
	case p.Weight < 0 || p.Weight > MaxWeight:
		return fmt.Errorf("%w: node %q: weight %d is outside 1..%d", ErrInvalidNode, p.ID, p.Weight, MaxWeight)
	}
	u, err := url.Parse(p.URL)
	switch {
	case err != nil:
		return fmt.Errorf("%w: node %q: url cannot be parsed", ErrInvalidNode, p.ID) // the parser's text may hold a password
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("%w: node %q: url must start with http:// or https://", ErrInvalidNode, p.ID)
	case u.Hostname() == "":
		return fmt.Errorf("%w: node %q: url names no host", ErrInvalidNode, p.ID)
	case u.User != nil || u.Fragment != "":
		return fmt.Errorf("%w: node %q: url must have neither user nor fragment", ErrInvalidNode, p.ID)
	}
	return nil
}

// stickyEras joins the eras verified now with those offered before.
func stickyEras(previous *Table, si ServiceInput) Eras {
	eras := si.Eras
	for i := range si.Nodes {
		if f := si.Nodes[i].Facts; f != nil {
			eras |= f.Eras
		}
	}
	if previous == nil {
		return eras
	}
	if s := previous.ByName[si.Name]; s != nil && s.Path == si.Path {
		eras |= s.Eras
	}
	return eras
}
