package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// maxDepth bounds the nesting of a document; the deepest key of the file stands at less than half of it.
const maxDepth = 32

// jsonTree reads JSON as the tree that the decoder of the file takes, so that documents and the file have the same
// keys, ranges and messages. Keys given twice are still there: the decoder refuses them.
type jsonTree struct {
	r    *report
	d    *json.Decoder
	data []byte
	line int   // of offset
	at   int64 // how far lines are counted
}

// jsonDocument returns the one JSON object in data.
func (r *report) jsonDocument(data []byte) (*yaml.Node, bool) {
	const write = "one JSON object in UTF-8"
	if !utf8.Valid(data) {
		r.addAt(1, "document", "holds bytes that are not UTF-8", write)
		return nil, false
	}
	var whole json.RawMessage
	if err := json.Unmarshal(data, &whole); err != nil {
		r.addAt(jsonLine(data, err), "document", "is not JSON: "+err.Error(), write)
		return nil, false
	}
	t := &jsonTree{r: r, d: json.NewDecoder(bytes.NewReader(data)), data: data, line: 1}
	t.d.UseNumber()
	n := t.value("", 0)
	if len(r.all) == 0 && n.Kind != yaml.MappingNode {
		r.addAt(1, "document", "is "+shape(n)+", not an object", write)
	}
	return n, len(r.all) == 0
}

func jsonLine(data []byte, err error) int {
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return 1
	}
	return 1 + bytes.Count(data[:min(int(syntax.Offset), len(data))], []byte("\n"))
}

// value reads the next value, which json.Unmarshal found to be one. After a problem it is empty.
func (t *jsonTree) value(path string, depth int) *yaml.Node {
	token, err := t.d.Token()
	t.count()
	if err != nil || depth > maxDepth {
		t.r.addAt(t.line, path, fmt.Sprintf("is nested deeper than %d levels", maxDepth), "fewer levels")
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Line: t.line}
	}
	switch v := token.(type) {
	case json.Delim:
		return t.container(v, path, depth)
	case string:
		return t.text(v, path)
	case json.Number:
		tag := "!!int"
		if strings.ContainsAny(v.String(), ".eE") {
			tag = "!!float"
		}
		return t.scalar(tag, v.String())
	case bool:
		return t.scalar("!!bool", fmt.Sprint(v))
	}
	return t.scalar("!!null", "null")
}

func (t *jsonTree) container(open json.Delim, path string, depth int) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Line: t.line}
	if open == '{' {
		n.Kind, n.Tag = yaml.MappingNode, "!!map"
	}
	for len(t.r.all) == 0 && t.d.More() {
		below := fmt.Sprintf("%s[%d]", path, len(n.Content))
		if open == '{' {
			key := t.value(path, depth+1)
			below = join(path, keyText(key))
			n.Content = append(n.Content, key)
		}
		n.Content = append(n.Content, t.value(below, depth+1))
	}
	if len(t.r.all) == 0 {
		_, _ = t.d.Token() // the closing one
	}
	return n
}

// text is quoted, so that "5" is no number and "true" no switch.
func (t *jsonTree) text(v, path string) *yaml.Node {
	if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		t.r.addAt(t.line, path, "holds a control character", "it without")
	}
	n := t.scalar("!!str", v)
	n.Style = yaml.DoubleQuotedStyle
	return n
}

func (t *jsonTree) scalar(tag, value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value, Line: t.line}
}

// count moves line to where the decoder is.
func (t *jsonTree) count() {
	now := t.d.InputOffset()
	t.line += bytes.Count(t.data[t.at:now], []byte("\n"))
	t.at = now
}

// canonical is the same JSON with its keys in order, without spaces, and without the members named.
func canonical(data []byte, without ...string) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	all := map[string]any{}
	if err := d.Decode(&all); err != nil {
		return nil, err
	}
	for _, name := range without {
		delete(all, name)
	}
	return compactJSON(all)
}

func compactJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
