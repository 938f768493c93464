package config

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// shape names what a node is, for "is …, not …".
func shape(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a section of keys"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	switch n.ShortTag() {
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "a switch"
	case "!!null":
		return "empty"
	case "!!timestamp":
		return "a date"
	}
	return "text"
}

// isEmpty reports a value left out, null, ~ or "".
func isEmpty(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && (n.Value == "" || n.ShortTag() == "!!null")
}

// keyText is a key as messages show it: bare when it is a plain word, else quoted and shortened.
func keyText(n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode {
		return "(" + shape(n) + ")"
	}
	if n.Value != "" && len(n.Value) <= 64 && strings.Trim(n.Value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == "" {
		return n.Value
	}
	return show(n.Value)
}

func find(keys []Key, name *yaml.Node) *Key {
	for i := range keys {
		if name.Kind == yaml.ScalarNode && keys[i].Name == name.Value {
			return &keys[i]
		}
	}
	return nil
}

func names(keys []Key) string {
	words := make([]string, len(keys))
	for i := range keys {
		words[i] = keys[i].Name
	}
	return orList(words)
}

// suggestion is the nearest known key, or all of them when none is near.
func suggestion(name *yaml.Node, keys []Key) string {
	words := make([]string, len(keys))
	for i := range keys {
		words[i] = keys[i].Name
	}
	if near := nearest(name.Value, words); near != "" {
		return near
	}
	return orList(words)
}

// nearest returns the word that at most a third of its letters separate from s, or "".
func nearest(s string, words []string) string {
	best, bestAt := "", 0
	if len(s) > 128 {
		return ""
	}
	for _, w := range words {
		if n := distance(strings.ToLower(s), strings.ToLower(w)); n <= max(len(w)/3, 1) && (best == "" || n < bestAt) {
			best, bestAt = w, n
		}
	}
	return best
}

// distance counts the insertions, deletions, replacements and swaps of neighbours between a and b.
func distance(a, b string) int {
	before, row, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next[0] = i + 1
		for j := range len(b) {
			cost := row[j]
			if a[i] != b[j] {
				cost++
			}
			next[j+1] = min(cost, row[j+1]+1, next[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row, next = row, next, before
	}
	return row[len(b)]
}

func listSample(k *Key) string {
	if strings.HasPrefix(k.Example, "[") || strings.HasPrefix(k.Example, "a list") {
		return k.Example
	}
	if k.Kind == KindTexts {
		return "[" + strconv.Quote(k.Example) + "]"
	}
	return "- " + names(k.Keys)
}
