package config

import (
	"cmp"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/quorate/quorate/internal/settings"
	"github.com/quorate/quorate/regions"
)

// Misfit is a document that this gateway does not follow, or not as it stands.
type Misfit struct {
	Kind settings.Kind
	Name string
	// Problems say why; their keys are the document's own, or those of the file that it contradicts.
	Problems Problems
	// Restart says that the document fits once this gateway is started again. Until then its service stays what
	// it was.
	Restart bool
}

// Strategy returns a strategy that a document chose; false where none did.
func (c *Config) Strategy(name string) (Strategy, bool) {
	s, ok := c.strategies[name]
	return s, ok
}

// maxServices and maxRoutes are the bounds that the keys of those names have.
const (
	maxServices = 1000
	maxRoutes   = 1000
)

// With returns the configuration of the file c and the documents that fit it. What stands in the file wins; of
// documents that exclude each other the one that was created first does. running is what the gateway runs by, nil
// while it starts: a service keeps what only a restart can change. Neither c nor running is changed.
//
// Documents follow the file: services, and routes by name, come after the file's. Of a document about this
// gateway's own region only its capacity counts here, since it is written for the others.
func (c *Config) With(documents []Document, running *Config) (*Config, []Misfit) {
	m := &merge{file: c, running: running}
	documents = slices.SortedFunc(slices.Values(documents), func(a, b Document) int {
		return cmp.Or(cmp.Compare(a.Created, b.Created), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	fit := m.eligible(documents)
	for {
		next, r := m.build(fit)
		if len(r.all) == 0 {
			return next, m.misfits
		}
		rest, blamed := m.drop(fit, r)
		if !blamed {
			rest = m.oneByOne(fit)
		}
		fit = rest
	}
}

// merge collects what does not fit.
type merge struct {
	file, running *Config
	misfits       []Misfit
}

func (m *merge) misfit(d Document, restart bool, problems ...Problem) {
	m.misfits = append(m.misfits, Misfit{Kind: d.Kind, Name: d.Name, Problems: problems, Restart: restart})
}

// eligible leaves out what stands in the file or is one too many, and keeps running services at what they are where
// only a restart could change it.
func (m *merge) eligible(all []Document) []Document {
	count := map[settings.Kind]int{settings.Services: len(m.file.Services), settings.Routes: len(m.file.Routes), settings.Regions: len(m.file.Filed(settings.Regions))}
	most := map[settings.Kind]int{settings.Services: maxServices, settings.Routes: maxRoutes, settings.Regions: regions.MaxRegions - 1, settings.Strategies: 2}
	var fit []Document
	for _, d := range all {
		if f, filed := m.file.At(d.Kind, d.Name); filed {
			m.misfit(d, false, problemOf(d, "name", "stands in this gateway's file at "+f.At, "another name, or take it out of the file"))
			continue
		}
		if count[d.Kind]++; count[d.Kind] > most[d.Kind] {
			m.misfit(d, false, problemOf(d, "document", fmt.Sprintf("is one more than the %d %s that a gateway can have", most[d.Kind], d.Kind), "fewer"))
			continue
		}
		fit = append(fit, m.placed(m.kept(d)))
	}
	return fit
}

func problemOf(d Document, key, what, write string) Problem {
	return Problem{File: documentFile(d.Kind, d.Name), Line: 1, Key: key, What: what, Write: write}
}

// kept is d with the running service's settings where d changes what a restart needs.
func (m *merge) kept(d Document) Document {
	s, ok := d.value.(Service)
	if !ok || m.running == nil {
		return d
	}
	i := slices.IndexFunc(m.running.Services, func(old Service) bool { return old.Name == d.Name })
	if i < 0 {
		return d
	}
	old := m.running.Services[i]
	var problems []Problem
	for _, path := range serviceRestarts([]Service{old}, []Service{s}, keysOf(reflect.TypeFor[Service](), "services[]", false)) {
		key := strings.TrimPrefix(path, "services["+d.Name+"].")
		problems = append(problems, problemOf(d, key, "cannot change while the service runs", "the old value, or delete the service and put it again, or restart this gateway"))
	}
	if len(problems) > 0 {
		m.misfit(d, true, problems...)
		d.value = old
	}
	return d
}

// placed makes relative file names those of this gateway's directory.
func (m *merge) placed(d Document) Document {
	value := reflect.New(reflect.TypeOf(d.value)).Elem()
	value.Set(reflect.ValueOf(d.value))
	if s, ok := d.value.(Service); ok { // what resolve changes must not be shared with the document
		s.Discover = slices.Clone(s.Discover)
		for i, from := range s.Discover {
			if from.DNS != nil {
				dns := *from.DNS
				s.Discover[i].DNS = &dns
			}
		}
		value.Set(reflect.ValueOf(s))
		resolve(value, keysOf(value.Type(), "", false), filepath.Dir(m.file.source.path))
	}
	d.value = value.Interface()
	return d
}

// build puts file and documents together and checks the whole.
func (m *merge) build(documents []Document) (*Config, *report) {
	next := *m.file
	next.Services, next.Routes = slices.Clone(m.file.Services), slices.Clone(m.file.Routes)
	next.Regions, next.added, next.strategies = map[string]Region{}, map[string]int{}, map[string]Strategy{}
	for _, f := range m.file.Filed(settings.Regions) {
		next.Regions[f.Name] = m.file.Regions[f.Name]
	}
	for i, d := range documents {
		switch v := d.value.(type) {
		case Service:
			next.Services = append(next.Services, v)
		case Region:
			next.Regions[d.Name], next.added[d.Name] = v.at(d.Name == next.Region), i+1
		case Strategy:
			next.strategies[d.Name] = v
		case ServiceReplication:
			next.Replication = v.over(next.Replication)
		}
	}
	for _, d := range routesByName(documents) {
		if route, ok := d.value.(TopRoute); ok {
			next.Routes = append(next.Routes, route)
		}
	}
	r := newReport(m.file.source.path)
	next.check(r)
	for i := len(m.file.Services); i < len(next.Services); i++ {
		next.Services[i].checkFiles(r, fmt.Sprintf("services[%d]", i))
	}
	return &next, r
}

// at is the region as a gateway in it has it, or any other gateway.
func (r Region) at(own bool) Region {
	if own {
		return Region{Via: r.Via, Capacity: r.Capacity}
	}
	return r
}

func routesByName(documents []Document) []Document {
	var all []Document
	for _, d := range documents {
		if d.Kind == settings.Routes {
			all = append(all, d)
		}
	}
	slices.SortFunc(all, func(a, b Document) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// paths returns where each document stands among the keys of what build makes.
func (m *merge) paths(documents []Document) map[string]Document {
	at := make(map[string]Document, len(documents))
	services := len(m.file.Services)
	for _, d := range documents {
		switch d.Kind {
		case settings.Services:
			at[fmt.Sprintf("services[%d]", services)] = d
			services++
		case settings.Regions:
			at["regions."+d.Name] = d
		case settings.Strategies:
			at[d.Name] = d
		}
	}
	for i, d := range routesByName(documents) {
		at[fmt.Sprintf("routes[%d]", len(m.file.Routes)+i)] = d
	}
	return at
}

// drop leaves out the documents at whose keys there are problems, and reports whether there are any.
func (m *merge) drop(documents []Document, r *report) (rest []Document, blamed bool) {
	at := m.paths(documents)
	found := map[string][]Problem{}
	for _, p := range r.all {
		if path := longest(at, p.Key); path != "" {
			d := at[path]
			p.File, p.Line = documentFile(d.Kind, d.Name), 1
			p.Key = cmp.Or(strings.TrimPrefix(strings.TrimPrefix(p.Key, path), "."), "document")
			p.What = named(at, p.What)
			found[documentPath(d.Kind, d.Name)] = append(found[documentPath(d.Kind, d.Name)], p)
		}
	}
	for _, d := range documents {
		if problems := found[documentPath(d.Kind, d.Name)]; problems != nil {
			m.misfit(d, false, problems...)
			continue
		}
		rest = append(rest, d)
	}
	return rest, len(found) > 0
}

// longest returns the path that key is or is below, "" for none. Names of regions may hold dots.
func longest(at map[string]Document, key string) string {
	for end := len(key); end > 0; end = strings.LastIndexAny(key[:end], ".[") {
		if _, ok := at[key[:end]]; ok {
			return key[:end]
		}
	}
	return ""
}

// named says of what a message points at, such as services[3].path, which document it is.
func named(at map[string]Document, what string) string {
	before, path, ok := strings.Cut(what, " is taken by ")
	if !ok {
		return what
	}
	if own := longest(at, path); own != "" {
		path = documentPath(at[own].Kind, at[own].Name) + path[len(own):]
	}
	return before + " is taken by " + path
}

// oneByOne takes documents in as long as they fit. It is for problems that stand at no document's keys.
func (m *merge) oneByOne(documents []Document) []Document {
	var fit []Document
	for _, d := range documents {
		_, r := m.build(append(slices.Clip(fit), d))
		if len(r.all) == 0 {
			fit = append(fit, d)
			continue
		}
		m.misfit(d, false, r.all...)
	}
	return fit
}
