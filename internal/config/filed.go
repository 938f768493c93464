package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/quorate/quorate/internal/settings"
)

// Filed is a setting that stands in the file, where the admin API cannot change it.
type Filed struct {
	Kind settings.Kind
	// Name is its own; a top-level route, which has none in the file, is called routes[INDEX].
	Name string
	// At is where it stands: FILE:LINE.
	At string
	// Body is what the file says, in the canonical form of documents.
	Body []byte
}

// Filed returns what of a kind stands in the file, in its order.
func (c *Config) Filed(kind settings.Kind) []Filed {
	var all []Filed
	for _, f := range c.source.filed {
		if f.Kind == kind {
			all = append(all, f)
		}
	}
	return all
}

// At returns where a setting stands in the file; false where it does not.
func (c *Config) At(kind settings.Kind, name string) (Filed, bool) {
	i := slices.IndexFunc(c.source.filed, func(f Filed) bool { return f.Kind == kind && f.Name == name })
	if i < 0 {
		return Filed{}, false
	}
	return c.source.filed[i], true
}

// filed collects the settings of a file that was found good.
func (r *report) filed() ([]Filed, error) {
	var all []Filed
	var problem error
	add := func(kind settings.Kind, name string, line int, n *yaml.Node) {
		value, _ := plainValue(n).(map[string]any)
		if value == nil {
			value = map[string]any{}
		}
		delete(value, "name")
		body, err := compactJSON(value)
		if err != nil {
			problem = err
		}
		all = append(all, Filed{Kind: kind, Name: name, At: r.file + ":" + strconv.Itoa(line), Body: body})
	}
	r.eachSection(func(key, value *yaml.Node) {
		switch key.Value {
		case "services":
			for _, n := range value.Content {
				add(settings.Services, textOf(n, "name"), n.Line, n)
			}
		case "routes":
			for i, n := range value.Content {
				add(settings.Routes, fmt.Sprintf("routes[%d]", i), n.Line, n)
			}
		case "regions":
			for i := 0; i+1 < len(value.Content); i += 2 {
				add(settings.Regions, value.Content[i].Value, value.Content[i].Line, value.Content[i+1])
			}
		case SplitBrainStrategy:
			if chosen := keysAmong(value, "strategy", "master", "options", "plugin"); len(chosen.Content) > 0 {
				add(settings.Strategies, key.Value, key.Line, chosen)
			}
		case ReplicationStrategy:
			if chosen := keysAmong(value, documentKeys()...); len(chosen.Content) > 0 {
				add(settings.Strategies, key.Value, key.Line, chosen)
			}
		}
	})
	return all, problem
}

// keysAmong is the section with the keys that a document has: the others, such as what a minority does, are each
// gateway's own and leave the choice to the API.
func keysAmong(n *yaml.Node, names ...string) *yaml.Node {
	chosen := &yaml.Node{Kind: yaml.MappingNode, Line: n.Line}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if slices.Contains(names, n.Content[i].Value) {
			chosen.Content = append(chosen.Content, n.Content[i], n.Content[i+1])
		}
	}
	return chosen
}

// documentKeys are those of the document about replication.
func documentKeys() []string {
	var names []string
	for _, k := range keysOf(reflect.TypeFor[ServiceReplication](), "", false) {
		names = append(names, k.Name)
	}
	return names
}

func (r *report) eachSection(f func(key, value *yaml.Node)) {
	if r.root == nil || r.root.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(r.root.Content); i += 2 {
		f(r.root.Content[i], r.root.Content[i+1])
	}
}

// textOf returns the text of a key in a section.
func textOf(n *yaml.Node, key string) string {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1].Value
		}
	}
	return ""
}

// plainValue is a node as JSON has it. The decoder has let it through: no aliases, and numbers are whole.
func plainValue(n *yaml.Node) any {
	switch n.Kind {
	case yaml.MappingNode:
		all := make(map[string]any, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			all[n.Content[i].Value] = plainValue(n.Content[i+1])
		}
		return all
	case yaml.SequenceNode:
		all := make([]any, 0, len(n.Content))
		for _, entry := range n.Content {
			all = append(all, plainValue(entry))
		}
		return all
	}
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		return n.Value == "true"
	case "!!int":
		if whole, err := strconv.Atoi(n.Value); err == nil {
			return whole
		}
	case "!!float": // only in a tree, whose numbers are JSON's
		return json.Number(n.Value)
	}
	return n.Value
}
