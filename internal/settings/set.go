package settings

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// Set is all documents at one moment. It never changes.
type Set struct {
	revision uint64
	bytes    int // of all bodies
	byKind   map[Kind]map[string]Document
}

// Revision is that of the last change; 0: there was none.
func (s *Set) Revision() uint64 { return s.revision }

// Get returns one document.
func (s *Set) Get(kind Kind, name string) (Document, bool) {
	d, ok := s.byKind[kind][name]
	return d, ok
}

// Of returns the documents of a kind, by name.
func (s *Set) Of(kind Kind) []Document {
	return slices.SortedFunc(maps.Values(s.byKind[kind]), func(a, b Document) int { return cmp.Compare(a.Name, b.Name) })
}

// All returns every document, by kind and name.
func (s *Set) All() []Document {
	var all []Document
	for _, kind := range Kinds() {
		all = append(all, s.Of(kind)...)
	}
	return all
}

// apply returns the set after a command of the entry at index; s itself where nothing changes.
func (s *Set) apply(index uint64, c command) (*Set, Result) {
	old, there := s.Get(c.Kind, c.Name)
	index = max(index, s.revision+1)
	switch {
	case c.Op == opSync:
		return s, Result{Revision: s.revision}
	case !c.Condition.Holds(old.Revision, there):
		return s, Result{Refused: "precondition", Text: fmt.Sprintf("%s/%s is %s", c.Kind, c.Name, at(old, there))}
	case c.Op == opDelete && !there:
		return s, Result{Refused: "unknown", Text: fmt.Sprintf("%s/%s", c.Kind, c.Name)}
	case c.Op == opDelete:
		return s.with(index, old, Document{}, false), Result{Revision: old.Revision, Changed: true}
	case there && string(old.Body) == string(c.Body):
		return s, Result{Revision: old.Revision}
	}
	if text := s.crowded(old, there, c); text != "" {
		return s, Result{Refused: "full", Text: text}
	}
	d := Document{Kind: c.Kind, Name: c.Name, Revision: index, Created: index, Body: c.Body}
	if there {
		d.Created = old.Created
	}
	return s.with(index, old, d, true), Result{Revision: index, Created: !there, Changed: true}
}

func at(d Document, there bool) string {
	if !there {
		return "not there"
	}
	return fmt.Sprintf("at revision %d", d.Revision)
}

// crowded says which bound a document would go beyond, "" for none.
func (s *Set) crowded(old Document, there bool, c command) string {
	if n := len(s.byKind[c.Kind]); !there && n >= MaxPerKind {
		return fmt.Sprintf("there are %d %s", n, c.Kind)
	}
	if n := s.bytes - len(old.Body) + len(c.Body); n > MaxTotal {
		return fmt.Sprintf("all documents would have %d bytes, at most %d", n, MaxTotal)
	}
	return ""
}

// with is s with old replaced by d, or removed.
func (s *Set) with(index uint64, old, d Document, keep bool) *Set {
	next := &Set{revision: index, bytes: s.bytes - len(old.Body) + len(d.Body), byKind: maps.Clone(s.byKind)}
	kind := cmp.Or(d.Kind, old.Kind)
	next.byKind[kind] = maps.Clone(s.byKind[kind])
	if !keep {
		delete(next.byKind[kind], old.Name)
		return next
	}
	if next.byKind[kind] == nil {
		next.byKind[kind] = map[string]Document{}
	}
	next.byKind[kind][d.Name] = d
	return next
}
