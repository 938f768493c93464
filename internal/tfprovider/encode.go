package tfprovider

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"strconv"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/quorate/quorate/internal/config"
)

// encoder turns an object of Terraform's into a document. What is unknown while planning is left out and remembered.
type encoder struct {
	unknown []string // keys, dotted with indexes as in problems
}

func (e *encoder) section(v map[string]tftypes.Value, keys []config.Key, at string) (map[string]any, error) {
	out := map[string]any{}
	for _, k := range keys {
		x, ok := v[k.Name]
		if !ok || x.IsNull() {
			continue
		}
		here := k.Name
		if at != "" {
			here = at + "." + k.Name
		}
		if !x.IsFullyKnown() && (!x.IsKnown() || k.Kind == config.KindTexts || k.Kind == config.KindWords) {
			e.unknown = append(e.unknown, here)
			continue
		}
		one, err := e.value(x, k, here)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", here, err)
		}
		out[k.Name] = one
	}
	return out, nil
}

func (e *encoder) value(x tftypes.Value, k config.Key, at string) (any, error) {
	switch k.Kind {
	case config.KindSection:
		return e.object(x, k.Keys, at)
	case config.KindList:
		return e.list(x, k, at)
	case config.KindMap:
		return e.sections(x, k, at)
	case config.KindTexts:
		return texts(x)
	case config.KindWords:
		return words(x)
	case config.KindNumber:
		var n big.Float
		err := x.As(&n)
		return json.Number(n.Text('f', -1)), err
	case config.KindSwitch:
		var b bool
		err := x.As(&b)
		return b, err
	}
	var s string
	if err := x.As(&s); err != nil {
		return nil, err
	}
	if k.Kind == config.KindTree {
		var tree any
		d := json.NewDecoder(bytes.NewReader([]byte(s)))
		d.UseNumber()
		if err := d.Decode(&tree); err != nil {
			return nil, fmt.Errorf("is no JSON; write jsonencode({...}): %w", err)
		}
		return tree, nil
	}
	return s, nil
}

func (e *encoder) object(x tftypes.Value, keys []config.Key, at string) (map[string]any, error) {
	var fields map[string]tftypes.Value
	if err := x.As(&fields); err != nil {
		return nil, err
	}
	return e.section(fields, keys, at)
}

// list leaves no entry out, since that would change the others' indexes.
func (e *encoder) list(x tftypes.Value, k config.Key, at string) (any, error) {
	var entries []tftypes.Value
	if err := x.As(&entries); err != nil {
		return nil, err
	}
	out := []any{}
	for i, entry := range entries {
		here := at + "[" + strconv.Itoa(i) + "]"
		if !entry.IsKnown() {
			e.unknown = append(e.unknown, here)
			out = append(out, map[string]any{})
			continue
		}
		one, err := e.object(entry, k.Keys, here)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

func (e *encoder) sections(x tftypes.Value, k config.Key, at string) (any, error) {
	var entries map[string]tftypes.Value
	if err := x.As(&entries); err != nil {
		return nil, err
	}
	out := map[string]any{}
	for name, entry := range entries {
		here := at + "." + name
		if !entry.IsKnown() {
			e.unknown = append(e.unknown, here)
			continue
		}
		one, err := e.object(entry, k.Keys, here)
		if err != nil {
			return nil, err
		}
		out[name] = one
	}
	return out, nil
}

func texts(x tftypes.Value) (any, error) {
	var entries []tftypes.Value
	if err := x.As(&entries); err != nil {
		return nil, err
	}
	out := []string{}
	for _, entry := range entries {
		var s *string
		if err := entry.As(&s); err != nil {
			return nil, err
		}
		if s == nil {
			return nil, fmt.Errorf("has a null in it; leave it out")
		}
		out = append(out, *s)
	}
	return out, nil
}

func words(x tftypes.Value) (any, error) {
	var entries map[string]tftypes.Value
	if err := x.As(&entries); err != nil {
		return nil, err
	}
	out := map[string]string{}
	for name, entry := range entries {
		var s *string
		if err := entry.As(&s); err != nil {
			return nil, err
		}
		if s != nil {
			out[name] = *s
		}
	}
	return out, nil
}

// marshal writes JSON with its keys in order and nothing escaped that need not be: as the gateway keeps it.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(b.Bytes()), nil
}

// pathOf turns the key of a problem into the attribute that it is about, as far as there is one.
func pathOf(key string, keys []config.Key) (path.Path, bool) {
	at, found := path.Empty(), false
	for rest := key; rest != ""; {
		k, tail, ok := cut(rest, keys)
		if !ok {
			break
		}
		if found {
			at = at.AtName(k.Name)
		} else {
			at, found = path.Root(k.Name), true
		}
		at, rest, keys = below(at, tail, k)
	}
	return at, found
}

// cut finds the key that a dotted path begins with.
func cut(rest string, keys []config.Key) (config.Key, string, bool) {
	for _, k := range keys {
		if tail, ok := bytes.CutPrefix([]byte(rest), []byte(k.Name)); ok && (len(tail) == 0 || tail[0] == '.' || tail[0] == '[') {
			return k, string(tail), true
		}
	}
	return config.Key{}, "", false
}

// below goes into an entry of a list or map.
func below(at path.Path, tail string, k config.Key) (path.Path, string, []config.Key) {
	if len(tail) > 1 && tail[0] == '[' {
		digits, after, ok := bytes.Cut([]byte(tail[1:]), []byte("]"))
		if i, err := strconv.Atoi(string(digits)); ok && err == nil {
			return at.AtListIndex(i), string(bytes.TrimPrefix(after, []byte("."))), k.Keys
		}
		return at, "", nil
	}
	tail = string(bytes.TrimPrefix([]byte(tail), []byte(".")))
	if tail != "" && (k.Kind == config.KindMap || k.Kind == config.KindWords) {
		name, after, _ := bytes.Cut([]byte(tail), []byte("."))
		return at.AtMapKey(string(name)), string(after), k.Keys
	}
	return at, tail, k.Keys
}
