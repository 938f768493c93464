package config

import (
	"cmp"
	"fmt"
	"reflect"
	"strings"

	"github.com/quorate/quorate/internal/settings"
	"github.com/quorate/quorate/strategies/async"
)

// Document is one run-time setting that was read: a service, region, top-level route or strategy with the keys that
// it has in the file.
type Document struct {
	Kind settings.Kind
	Name string
	// Body is the document in canonical form: JSON with its keys in order, without spaces and without a name.
	Body []byte
	// Created says which documents were there first: of two that exclude each other the older one counts.
	Created uint64

	value any // a Service, Region, TopRoute, Strategy or ServiceReplication
}

// ParseDocument reads the JSON of one document with the decoder of the file. An error is of type Problems, whose
// keys are the document's own. What only the whole configuration can show is judged by Config.With.
func ParseDocument(kind settings.Kind, name string, body []byte) (Document, error) {
	at := documentPath(kind, name)
	r := newReport(documentFile(kind, name))
	d := Document{Kind: kind, Name: name}
	value, ok := blank(kind, name)
	switch {
	case !ok:
		r.addAt(1, "document", show(string(kind))+" is no kind of settings", orList(kindWords()))
	case checkName(name) != nil:
		r.addAt(1, "name", show(name)+" is not a name", checkName(name).write)
	case len(body) > settings.MaxBody:
		r.addAt(1, "document", fmt.Sprintf("has %d bytes", len(body)), fmt.Sprintf("at most %d", settings.MaxBody))
	case kind == settings.Strategies && name != SplitBrainStrategy && name != ReplicationStrategy:
		r.addAt(1, "name", show(name)+" is not a strategy that can be set", SplitBrainStrategy+" or "+ReplicationStrategy)
	default:
		d.decode(r, value, at, body)
	}
	if err := own(r.problems(), at); err != nil {
		return Document{}, err
	}
	d.value = value.Interface()
	var err error
	if d.Body, err = canonical(body, "name"); err != nil {
		return Document{}, fmt.Errorf("config: document: %w", err)
	}
	if len(d.Body) > settings.MaxBody { // some characters are longer there
		return Document{}, Problems{problemOf(d, "document", fmt.Sprintf("has %d bytes in canonical form", len(d.Body)), fmt.Sprintf("at most %d", settings.MaxBody))}
	}
	return d, nil
}

func (d *Document) decode(r *report, value reflect.Value, at string, body []byte) {
	n, ok := r.jsonDocument(body)
	if !ok {
		return
	}
	keys := keysOf(value.Type(), at, false)
	setDefaults(value, keys)
	dec := decoder{report: r}
	if !dec.section(value, keys, at, n) {
		return
	}
	if s, ok := value.Addr().Interface().(*Service); ok {
		if cmp.Or(s.Name, d.Name) != d.Name && !r.bad[at+".name"] {
			r.add(at+".name", show(s.Name)+" is not the name in the path", d.Name+", or leave it out")
		}
		s.Name = d.Name
	}
	dec.required(value, keys, at)
	switch s := value.Interface().(type) {
	case Strategy:
		s.check(r, at)
	case ServiceReplication:
		s.over(Replication{Strategy: async.Name}).check(r, at)
	}
}

// blank returns a variable of the type that documents of a kind have.
func blank(kind settings.Kind, name string) (reflect.Value, bool) {
	switch kind {
	case settings.Services:
		return reflect.New(reflect.TypeFor[Service]()).Elem(), true
	case settings.Regions:
		return reflect.New(reflect.TypeFor[Region]()).Elem(), true
	case settings.Routes:
		return reflect.New(reflect.TypeFor[TopRoute]()).Elem(), true
	case settings.Strategies:
		if name == ReplicationStrategy {
			return reflect.New(reflect.TypeFor[ServiceReplication]()).Elem(), true
		}
		return reflect.New(reflect.TypeFor[Strategy]()).Elem(), true
	}
	return reflect.Value{}, false
}

func kindWords() []string {
	var words []string
	for _, k := range settings.Kinds() {
		words = append(words, string(k))
	}
	return words
}

// documentPath is where a document stands among keys while it is alone.
func documentPath(kind settings.Kind, name string) string { return string(kind) + "/" + name }

// documentFile is what problems call the document.
func documentFile(kind settings.Kind, name string) string {
	return string(kind) + "/" + name[:min(len(name), 64)]
}

// own turns the keys of problems below at into the document's own; nil stays nil.
func own(err error, at string) error {
	problems, ok := err.(Problems) //nolint:errorlint // a report's error is this and never wrapped
	if !ok {
		return nil
	}
	for i := range problems {
		key := strings.TrimPrefix(strings.TrimPrefix(problems[i].Key, at), ".")
		problems[i].Key = cmp.Or(key, "document")
	}
	return problems
}
