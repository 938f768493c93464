package mcp

import (
	"bytes"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// SameID reports whether two ids, as written, are the same one. A node that decodes an id and writes it again may spell it
// otherwise: encoders disagree about what they escape, and about 1 and 1.0.
func SameID(a, b []byte) bool {
	switch {
	case bytes.Equal(a, b):
		return true
	case len(a) == 0 || len(b) == 0 || (a[0] == '"') != (b[0] == '"'):
		return false
	case a[0] == '"':
		return bytes.Equal(unquoted(a), unquoted(b))
	}
	x, err1 := strconv.ParseFloat(string(a), 64)
	y, err2 := strconv.ParseFloat(string(b), 64)
	return err1 == nil && err2 == nil && x == y
}

// unquoted is the text of a JSON string. Its only possible error is an unpaired surrogate, as in scanner.text.
func unquoted(s []byte) []byte {
	text, _ := jsontext.AppendUnquote(nil, s)
	return text
}
