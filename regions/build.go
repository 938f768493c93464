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
	ErrInvalidRegion    = errors.New("invalid region")
)

// MaxWeight is the largest weight of a node; the smallest is 1.
const MaxWeight = 1000

// Input is everything a table is made from.
type Input struct {
	Previous *Table // the table this one replaces; nil for the first. Gives the version and the eras to keep
	Region   string // this gateway's region
	Services []ServiceInput
	Bounds   Bounds   // zero: DefaultBounds
	Regions  []Region // in any order; without the gateway's own, that one is On and takes its full share
}

// ServiceInput is one service as configured, with its nodes as verification sees them.
type ServiceInput struct {
	Name, Path string
	Eras       Eras   // known from elsewhere, such as a table kept on disk; added to what is verified
	Nodes      []Node // full set; nodes of regions that the table does not have are left out
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
	problems := t.place(in)
	for _, si := range in.Services {
		s, errs := t.buildService(in, si)
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

// place sets the regions, their order and the plans through them.
func (t *Table) place(in Input) (problems []error) {
	t.Bounds = in.Bounds
	if t.Bounds == (Bounds{}) {
		t.Bounds = DefaultBounds()
	}
	if err := t.Bounds.Check(); err != nil {
		problems = append(problems, err)
	}
	t.Regions = slices.Clone(in.Regions)
	own := func(r Region) bool { return r.Name == in.Region }
	if !slices.ContainsFunc(t.Regions, own) {
		t.Regions = append(t.Regions, Region{Name: in.Region, Share: 1})
	}
	slices.SortFunc(t.Regions, func(a, b Region) int {
		if own(a) != own(b) {
			return map[bool]int{true: -1, false: 1}[own(a)]
		}
		return cmp.Or(cmp.Compare(a.RTT, b.RTT), cmp.Compare(a.Name, b.Name))
	})
	t.Regions[0].RTT, t.Regions[0].Class = 0, Fast
	problems = append(problems, checkRegions(t.Regions)...)
	for c := range Classes {
		for s := range Spills {
			t.plans[c][s] = plan(t.Regions, Class(c), Spill(s))
		}
	}
	return problems
}

func checkRegions(all []Region) (problems []error) {
	if len(all) > MaxRegions {
		problems = append(problems, fmt.Errorf("%w: %d regions, at most %d fit", ErrInvalidRegion, len(all), MaxRegions))
	}
	seen := make(map[string]bool, len(all))
	for _, r := range all {
		switch {
		case seen[r.Name]:
			problems = append(problems, fmt.Errorf("%w: %q is listed twice", ErrInvalidRegion, r.Name))
		case r.RTT < 0 || r.Capacity < 0 || r.Class > Beyond || !(r.Share >= 0 && r.Share <= 1):
			problems = append(problems, fmt.Errorf("%w: %q: round trip %s, class %d, share %v or capacity %d is out of range", ErrInvalidRegion, r.Name, r.RTT, r.Class, r.Share, r.Capacity))
		}
		seen[r.Name] = true
	}
	return problems
}

func (t *Table) buildService(in Input, si ServiceInput) (*Service, []error) {
	var problems []error
	if err := checkService(si); err != nil {
		problems = append(problems, err)
	}
	s := &Service{Name: si.Name, Path: si.Path, Eras: stickyEras(in.Previous, si)}
	var before *Service
	if in.Previous != nil {
		before = in.Previous.ByName[si.Name]
	}
	s.arrange(t, si)
	problems = append(problems, s.check(t, si, before)...)
	s.Tools = mergeTools(s.Nodes)
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
	case strings.ContainsAny(p.Host, " \t\r\n:/@?#") || len(p.Host) > 253:
		return fmt.Errorf("%w: node %q: host must be a name without a port", ErrInvalidNode, p.ID)
	case p.Identity != Identity{} && len(p.URL) >= len("http:") && strings.EqualFold(p.URL[:len("http:")], "http:"):
		return fmt.Errorf("%w: node %q: an identity needs https: without TLS nothing can be proven", ErrInvalidNode, p.ID)
	}
	if usual(p.URL) {
		return nil
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

// usual reports URLs of the plain form that nearly all have, whose parsing would be most of the work of a
// large table: a scheme, a host of letters, digits, dots and hyphens with or without a port, a simple path.
func usual(u string) bool {
	rest, ok := strings.CutPrefix(u, "http://")
	if !ok {
		rest, ok = strings.CutPrefix(u, "https://")
	}
	if !ok {
		return false
	}
	host := len(rest)
	for i := 0; i < len(rest); i++ {
		switch c := rest[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '-':
		case c == '/' || c == '_' && host < i:
			host = min(host, i)
		case c == ':' && host == len(rest):
			if i == 0 {
				return false
			}
			return digitsThenPath(rest[i+1:])
		default:
			return false
		}
	}
	return host > 0
}

// digitsThenPath reports a port and a simple path or none.
func digitsThenPath(s string) bool {
	port, path, _ := strings.Cut(s, "/")
	for i := 0; i < len(port); i++ {
		if port[i] < '0' || port[i] > '9' {
			return false
		}
	}
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '-', c == '_', c == '/':
		default:
			return false
		}
	}
	return port != ""
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
