package config

import (
	"fmt"
	"reflect"
	"strings"
	"time"
)

// Kind is the shape of a key's value.
type Kind uint8

// The kinds of keys.
const (
	KindSection  Kind = iota // a mapping of further keys
	KindList                 // a list of sections
	KindTexts                // a list of text values
	KindText                 // text
	KindNumber               // a whole number
	KindSwitch               // true or false
	KindDuration             // a number with a unit, such as 5s
	KindSize                 // a number of bytes, such as 4MiB
	KindMap                  // sections by a name of the operator's
	KindWords                // text values by a name of the operator's
	KindTree                 // keys that only a plugin understands
)

// Key describes one key of the file: the single source of the decoder, the generated
// documentation and the generated schema.
type Key struct {
	Name     string // as written in the file
	Path     string // dotted, with [] after each list
	Env      string // environment variable, empty inside lists and for what is no scalar
	Kind     Kind
	Default  string
	Doc      string
	Example  string
	Min, Max string // inclusive; for lists Max is the largest number of entries
	Enum     []string
	Form     string // a name in form.go
	Required bool
	Unless   string // PATH=WORD of another key: then it is not required and must not be given
	Restart  bool   // a reload cannot change it
	OneOf    bool   // of a list's entries, exactly one of Keys is set
	Word     string // that may stand for a section of defaults
	Keys     []Key  // of a section, or of a list's entries

	index int // field in the struct
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	sizeType     = reflect.TypeFor[Size]()
	treeType     = reflect.TypeFor[Tree]()
)

// Keys returns every key of the file, in the order of the documentation.
func Keys() []Key { return keysOf(reflect.TypeFor[Config](), "", true) }

// keysOf describes the fields of a struct; env says whether its scalars are environment variables.
func keysOf(t reflect.Type, prefix string, env bool) []Key {
	var keys []Key
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("yaml")
		if name == "" {
			continue
		}
		k := Key{
			Name: name, Path: join(prefix, name), Kind: kindOf(f.Type), index: i,
			Default: f.Tag.Get("default"), Doc: f.Tag.Get("doc"), Example: f.Tag.Get("example"),
			Min: f.Tag.Get("min"), Max: f.Tag.Get("max"), Form: f.Tag.Get("is"),
			Required: f.Tag.Get("required") != "", Unless: f.Tag.Get("unless"), Restart: f.Tag.Get("restart") != "", Word: f.Tag.Get("word"),
		}
		if words := f.Tag.Get("enum"); words != "" {
			k.Enum = strings.Split(words, ",")
		}
		switch k.Kind {
		case KindSection:
			k.Keys = keysOf(structOf(f.Type), k.Path, env)
		case KindList:
			k.Keys = keysOf(f.Type.Elem(), k.Path+"[]", false)
			k.OneOf = f.Type.Elem().Field(0).Type.Kind() == reflect.Pointer
		case KindMap:
			k.Keys = keysOf(f.Type.Elem(), k.Path+".NAME", false)
		case KindTexts, KindWords, KindTree:
		default:
			if env {
				k.Env = envName(k.Path)
			}
		}
		keys = append(keys, k)
	}
	return keys
}

func kindOf(t reflect.Type) Kind {
	switch {
	case t == durationType:
		return KindDuration
	case t == sizeType:
		return KindSize
	case t == treeType:
		return KindTree
	case structOf(t) != nil:
		return KindSection
	case t.Kind() == reflect.Pointer: // a single value that may be left out
		return kindOf(t.Elem())
	}
	switch t.Kind() {
	case reflect.Map:
		if t.Elem().Kind() == reflect.Struct {
			return KindMap
		}
		return KindWords
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Struct {
			return KindList
		}
		return KindTexts
	case reflect.String:
		return KindText
	case reflect.Int:
		return KindNumber
	case reflect.Bool:
		return KindSwitch
	}
	panic(fmt.Sprintf("config: no kind for %s", t))
}

// structOf returns the struct that t is or points to, or nil.
func structOf(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() == reflect.Struct {
		return t
	}
	return nil
}

func join(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + "." + name
}

func envName(path string) string {
	return "QUORATE_" + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}
