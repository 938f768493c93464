package config

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// decoder fills a Config from YAML nodes and goes on after every problem.
type decoder struct {
	*report
	root reflect.Value // of the Config
}

// section fills the struct v from a mapping and reports whether n is one.
func (d decoder) section(v reflect.Value, keys []Key, path string, n *yaml.Node) bool {
	if n.Kind != yaml.MappingNode {
		d.add(cmp.Or(path, "file"), "is "+shape(n)+", not a section of keys", "keys below it: "+names(keys))
		return false
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		at := join(path, keyText(name))
		if first, ok := seen[at]; ok {
			d.addAt(name.Line, at, "is given twice, first in line "+strconv.Itoa(first), "it once")
			continue
		}
		seen[at] = name.Line
		d.lines[at] = name.Line
		k := find(keys, name)
		if k == nil {
			d.add(at, "is not a known key", suggestion(name, keys))
			continue
		}
		d.value(v.Field(k.index), k, at, value)
	}
	return true
}

// value fills one field; an empty value leaves its default.
func (d decoder) value(field reflect.Value, k *Key, path string, n *yaml.Node) {
	if !d.plain(path, n) || isEmpty(n) {
		return
	}
	switch k.Kind {
	case KindSection:
		if k.Word != "" && n.Kind == yaml.ScalarNode && n.Value == k.Word {
			return
		}
		if field.Kind() == reflect.Pointer {
			field.Set(reflect.New(field.Type().Elem()))
			field = field.Elem()
			setDefaults(field, k.Keys)
		}
		d.section(field, k.Keys, path, n)
	case KindList, KindTexts:
		d.list(field, k, path, n)
	case KindMap, KindWords:
		d.named(field, k, path, n)
	case KindTree:
		d.tree(field, k, path, n)
	default:
		d.scalar(field, k, path, n)
	}
}

// plain refuses what makes a file mean more than it shows: aliases can grow without bound, tags
// change types.
func (d decoder) plain(path string, n *yaml.Node) bool {
	switch {
	case n.Kind == yaml.AliasNode:
		d.add(path, "uses a YAML alias", "the value itself")
	case n.Style&yaml.TaggedStyle != 0:
		d.add(path, "has a YAML tag", "the value without "+show(n.Tag))
	default:
		return true
	}
	return false
}

func (d decoder) list(field reflect.Value, k *Key, path string, n *yaml.Node) {
	if n.Kind != yaml.SequenceNode {
		d.add(path, "is "+shape(n)+", not a list", "a list such as "+listSample(k))
		return
	}
	if most, err := strconv.Atoi(k.Max); err == nil && len(n.Content) > most {
		d.add(path, fmt.Sprintf("has %d entries", len(n.Content)), "at most "+k.Max)
		return
	}
	list := reflect.MakeSlice(field.Type(), len(n.Content), len(n.Content))
	for i, entry := range n.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		d.lines[at] = entry.Line
		d.entry(list.Index(i), k, at, entry)
	}
	field.Set(list)
}

// named fills a mapping whose names are the operator's.
func (d decoder) named(field reflect.Value, k *Key, path string, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		d.add(path, "is "+shape(n)+", not a section of names", "a section with one entry per name")
		return
	}
	if most, err := strconv.Atoi(k.Max); err == nil && len(n.Content) > 2*most {
		d.add(path, fmt.Sprintf("has %d entries", len(n.Content)/2), "at most "+k.Max)
		return
	}
	all := reflect.MakeMap(field.Type())
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		at := join(path, keyText(name))
		if first, ok := d.lines[at]; ok {
			d.addAt(name.Line, at, "is given twice, first in line "+strconv.Itoa(first), "it once")
			continue
		}
		d.lines[at] = name.Line
		if f := k.badName(name.Value); f != nil {
			d.add(at, f.what, f.write)
			continue
		}
		entry := reflect.New(field.Type().Elem()).Elem()
		d.namedEntry(entry, k, at, value)
		all.SetMapIndex(reflect.ValueOf(name.Value), entry)
	}
	field.Set(all)
}

// badName reports a name that is none; those of texts are judged by what they name.
func (k *Key) badName(name string) *fault {
	if k.Kind == KindMap {
		return forms(k.Form)(name)
	}
	return nil
}

// namedEntry: an empty section has its defaults, an empty text is one.
func (d decoder) namedEntry(v reflect.Value, k *Key, path string, n *yaml.Node) {
	switch {
	case !d.plain(path, n):
	case k.Kind == KindWords && n.Kind == yaml.ScalarNode && n.Value == "":
	case k.Kind == KindWords:
		text := *k
		text.Kind = KindText
		d.scalar(v, &text, path, n)
	default:
		setDefaults(v, k.Keys)
		if !isEmpty(n) {
			d.section(v, k.Keys, path, n)
		}
	}
}

func (d decoder) entry(v reflect.Value, k *Key, path string, n *yaml.Node) {
	switch {
	case !d.plain(path, n):
	case isEmpty(n):
		d.add(path, "is empty", "an entry, or remove the line")
	case k.Kind == KindTexts:
		d.scalar(v, k, path, n)
	default:
		setDefaults(v, k.Keys)
		d.section(v, k.Keys, path, n)
	}
}

func (d decoder) scalar(field reflect.Value, k *Key, path string, n *yaml.Node) {
	if n.Kind != yaml.ScalarNode {
		d.add(path, "is "+shape(n)+", not a single value", "a value such as "+k.sample())
		return
	}
	text := k.Kind == KindText || k.Kind == KindTexts
	if tag := n.ShortTag(); text && tag != "!!str" {
		d.add(path, show(n.Value)+" is not text but "+shape(n), "it in quotes: "+strconv.Quote(n.Value))
		return
	}
	if quoted := n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0; quoted && (k.Kind == KindNumber || k.Kind == KindSwitch) {
		d.add(path, show(n.Value)+" is text", "it without quotes, such as "+k.sample())
		return
	}
	value, f := k.parse(n.Value)
	if f != nil {
		d.add(path, f.what, f.write)
		return
	}
	if field.Kind() == reflect.Pointer {
		field.Set(reflect.New(field.Type().Elem()))
		field = field.Elem()
	}
	field.Set(reflect.ValueOf(value))
}

// excused reports whether the key of PATH=WORD has that word.
func (d decoder) excused(unless string) bool {
	path, word, _ := strings.Cut(unless, "=")
	v, keys := d.root, Keys()
	for name := range strings.SplitSeq(path, ".") {
		i := slices.IndexFunc(keys, func(k Key) bool { return k.Name == name })
		v, keys = v.Field(keys[i].index), keys[i].Keys
	}
	return v.String() == word
}

// required reports what must be there and is not.
func (d decoder) required(v reflect.Value, keys []Key, path string) {
	for i := range keys {
		k := &keys[i]
		field, at := v.Field(k.index), join(path, k.Name)
		if field.Kind() == reflect.Pointer {
			if field.IsNil() {
				continue
			}
			field = field.Elem()
		}
		switch {
		case k.Unless != "" && d.excused(k.Unless):
		case k.Required && (field.IsZero() || k.Kind == KindList && k.Min != "" && field.Len() == 0):
			d.missing(at, k)
		case k.Kind == KindSection:
			d.required(field, k.Keys, at)
		case k.Kind == KindList:
			for j := range field.Len() {
				d.required(field.Index(j), k.Keys, fmt.Sprintf("%s[%d]", at, j))
			}
		case k.Kind == KindMap:
			for _, name := range field.MapKeys() {
				d.required(field.MapIndex(name), k.Keys, join(at, name.String()))
			}
		}
	}
}

func (d decoder) missing(path string, k *Key) {
	if d.full() {
		return
	}
	if parent := path[:max(strings.LastIndex(path, "."), 0)]; d.bad[parent] || d.badBelow(path) {
		return
	}
	what := "is missing"
	if _, ok := d.lines[path]; ok || d.envs[path] != "" {
		what = "is empty"
	}
	d.add(path, what, k.Name+": "+k.Example)
}
