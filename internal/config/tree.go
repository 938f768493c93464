package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// Tree is a section whose keys only others understand, as JSON in canonical form: one object with its keys in order.
// Empty: nothing.
type Tree string

// tree fills a section that is passed on as it is.
func (d decoder) tree(field reflect.Value, k *Key, path string, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		d.add(path, "is "+shape(n)+", not a section of keys", "a section such as "+k.Example)
		return
	}
	value, ok := d.branch(path, n, 0)
	if !ok {
		return
	}
	text, err := compactJSON(value)
	if err != nil {
		d.add(path, "cannot be written as JSON: "+err.Error(), "texts, whole numbers, switches, sections and lists")
		return
	}
	if most, err := ParseSize(k.Max); err == nil && Size(len(text)) > most {
		d.add(path, fmt.Sprintf("has %d bytes as JSON", len(text)), "at most "+k.Max)
		return
	}
	field.SetString(string(text))
}

// branch is a value of a tree as JSON has it, and whether all of it is one.
func (d decoder) branch(path string, n *yaml.Node, depth int) (any, bool) {
	switch {
	case !d.plain(path, n):
		return nil, false
	case depth > maxDepth:
		d.add(path, fmt.Sprintf("is nested deeper than %d levels", maxDepth), "fewer levels")
		return nil, false
	case n.Kind == yaml.MappingNode:
		return d.branches(path, n, depth)
	case n.Kind == yaml.SequenceNode:
		all, good := make([]any, len(n.Content)), true
		for i, entry := range n.Content {
			value, ok := d.branch(fmt.Sprintf("%s[%d]", path, i), entry, depth+1)
			all[i], good = value, good && ok
		}
		return all, good
	}
	return d.leaf(path, n)
}

func (d decoder) branches(path string, n *yaml.Node, depth int) (any, bool) {
	all, first, good := make(map[string]any, len(n.Content)/2), map[string]int{}, true
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i]
		at := join(path, keyText(name))
		if line, ok := first[name.Value]; ok {
			d.addAt(name.Line, at, "is given twice, first in line "+strconv.Itoa(line), "it once")
			good = false
			continue
		}
		first[name.Value], d.lines[at] = name.Line, name.Line
		if name.Kind != yaml.ScalarNode || name.Value == "<<" {
			d.add(at, "is no key of text", "a text")
			good = false
			continue
		}
		value, ok := d.branch(at, n.Content[i+1], depth+1)
		all[name.Value], good = value, good && ok
	}
	return all, good
}

// leaf takes a single value in the one spelling that JSON has for it.
func (d decoder) leaf(path string, n *yaml.Node) (any, bool) {
	switch tag := n.ShortTag(); {
	case tag == "!!null":
		return nil, true
	case tag == "!!str":
		return n.Value, true
	case tag == "!!bool" && (n.Value == "true" || n.Value == "false"):
		return n.Value == "true", true
	case (tag == "!!int" || tag == "!!float") && json.Valid([]byte(n.Value)):
		return json.Number(n.Value), true
	}
	d.add(path, show(n.Value)+" is no value that a plugin would understand as it stands", "it in quotes: "+strconv.Quote(n.Value))
	return nil, false
}
