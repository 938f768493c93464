package config

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// yamlLine finds the line in the YAML parser's messages.
var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(?s:(.*))$`)

// syntax records the parser's message. It stops at the first, so there is only ever one.
func (r *report) syntax(data []byte, err error) {
	line, what := 1, err.Error()
	if m := yamlLine.FindStringSubmatch(what); m != nil {
		what = m[2]
		if n, err := strconv.Atoi(m[1]); err == nil {
			line = n
		}
	}
	what = "is not YAML: " + strings.Join(strings.Fields(what), " ")
	r.addAt(max(line, brokenLine(data)), "file", what, "YAML, indented with spaces, with a space after each colon")
}

// brokenWork bounds the search for a broken line, in bytes parsed.
const brokenWork = 4 << 20

// brokenLine returns the line after the longest run of whole lines that is YAML. The parser itself
// names the line where the section around the mistake begins, or none, or the one before; but it
// is never past the mistake, so the greater of the two is right. 0 when the search takes too long.
func brokenLine(data []byte) int {
	for work := brokenWork; work > 0 && len(data) > 0; {
		data = data[:bytes.LastIndexByte(data[:len(data)-1], '\n')+1]
		ok, cost := isYAML(data)
		if ok {
			return bytes.Count(data, []byte("\n")) + 1
		}
		work -= cost
	}
	return 0
}

// isYAML also returns how much the parser read before it knew.
func isYAML(data []byte) (ok bool, cost int) {
	r := bytes.NewReader(data)
	dec := yaml.NewDecoder(r)
	for {
		var n yaml.Node
		if err := dec.Decode(&n); err != nil {
			return errors.Is(err, io.EOF), len(data) - r.Len() + 1
		}
	}
}

// checkText finds what makes a file no YAML text, with better lines than the parser gives.
func (r *report) checkText(data []byte) bool {
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		r.addAt(1, "file", "is UTF-16 text", "it as UTF-8")
		return false
	}
	line := 0
	for text := range bytes.Lines(data) {
		line++
		r.checkLine(line, text)
	}
	return len(r.all) == 0
}

func (r *report) checkLine(line int, text []byte) {
	indent := text[:len(text)-len(bytes.TrimLeft(text, " \t"))]
	rest := bytes.TrimSpace(text)
	switch {
	case !utf8.Valid(text):
		r.addAt(line, "file", "holds bytes that are not UTF-8", "it as UTF-8 text")
	case bytes.ContainsFunc(text, isControl):
		r.addAt(line, "file", "holds a control character", "the line without it")
	case bytes.IndexByte(indent, '\t') >= 0 && len(rest) > 0 && rest[0] != '#':
		r.addAt(line, "file", "is indented with a tab", "spaces instead of the tab")
	}
}

func isControl(r rune) bool {
	return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0x7f
}
