package main

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/quorate/quorate/internal/config"
)

// schema is the part of JSON Schema 2020-12 that a configuration needs.
type schema struct {
	Dialect       string             `json:"$schema,omitempty"`
	Title         string             `json:"title,omitempty"`
	Description   string             `json:"description,omitempty"`
	Type          any                `json:"type,omitempty"`
	Default       any                `json:"default,omitempty"`
	Examples      []any              `json:"examples,omitempty"`
	Enum          []any              `json:"enum,omitempty"`
	Pattern       string             `json:"pattern,omitempty"`
	Minimum       *int               `json:"minimum,omitempty"`
	Maximum       *int               `json:"maximum,omitempty"`
	MinItems      int                `json:"minItems,omitempty"`
	MaxItems      int                `json:"maxItems,omitempty"`
	Items         *schema            `json:"items,omitempty"`
	MinProperties int                `json:"minProperties,omitempty"`
	MaxProperties int                `json:"maxProperties,omitempty"`
	Properties    map[string]*schema `json:"properties,omitempty"`
	Required      []string           `json:"required,omitempty"`
	Others        any                `json:"additionalProperties,omitempty"` // a schema, or false
	If            *schema            `json:"if,omitempty"`
	Else          *schema            `json:"else,omitempty"`
	Const         any                `json:"const,omitempty"`
}

// Forms of text that hold a number with a unit.
const (
	durationPattern = `^[+]?(0|([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+$`
	sizePattern     = `^[0-9]+ *(B|KiB|MiB|GiB)?$`
)

func schemaJSON(keys []config.Key) ([]byte, error) {
	root := section(keys)
	root.Dialect = "https://json-schema.org/draft/2020-12/schema"
	root.Title = "Quorate configuration"
	root.Description = "Generated from internal/config by go generate. Ranges of durations and sizes, files and what keys say together are checked by quorate check only."
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(root)
	return out.Bytes(), err
}

func section(keys []config.Key) *schema {
	s := &schema{Type: "object", Properties: map[string]*schema{}, Others: false}
	for i := range keys {
		k := &keys[i]
		s.Properties[k.Name] = property(k)
		switch {
		case k.Unless != "":
			s.If, s.Else = having(k.Unless), &schema{Required: []string{k.Name}}
		case k.Required:
			s.Required = append(s.Required, k.Name)
		}
	}
	return s
}

// having is the schema of what has this word at this path, of PATH=WORD.
func having(unless string) *schema {
	path, word, _ := strings.Cut(unless, "=")
	s := &schema{Const: word}
	names := strings.Split(path, ".")
	for _, name := range slices.Backward(names) {
		s = &schema{Type: "object", Properties: map[string]*schema{name: s}, Required: []string{name}}
	}
	return s
}

// property describes one key. What is not required may be left empty, which YAML reads as null.
func property(k *config.Key) *schema {
	s := shape(k)
	s.Description = describe(k)
	if !k.Required {
		s.Type = orNull(s.Type)
		if s.Enum != nil {
			s.Enum = append(s.Enum, nil)
		}
	}
	return s
}

func orNull(kind any) any {
	if list, ok := kind.([]string); ok {
		return append(list, "null")
	}
	return []string{kind.(string), "null"}
}

func shape(k *config.Key) *schema {
	switch k.Kind {
	case config.KindSection:
		s := section(k.Keys)
		if k.Required {
			s.MinProperties = 1
		}
		return s
	case config.KindList:
		return list(k)
	case config.KindMap:
		return &schema{Type: "object", Others: section(k.Keys), MaxProperties: number(k.Max)}
	case config.KindWords:
		return &schema{Type: "object", Others: &schema{Type: "string", Examples: []any{k.Example}}, MaxProperties: number(k.Max)}
	case config.KindTree:
		return &schema{Type: "object"}
	case config.KindTexts:
		return &schema{Type: "array", Items: &schema{Type: "string", Examples: []any{k.Example}}, MaxItems: number(k.Max)}
	case config.KindNumber:
		lo, hi := number(k.Min), number(k.Max)
		s := &schema{Type: "integer", Minimum: &lo, Maximum: &hi}
		if k.Default != "" {
			s.Default = number(k.Default)
		}
		return s
	case config.KindSwitch:
		return &schema{Type: "boolean", Default: k.Default == "true"}
	case config.KindDuration:
		return &schema{Type: "string", Pattern: durationPattern, Default: orNothing(k.Default)}
	case config.KindSize:
		return &schema{Type: []string{"string", "integer"}, Pattern: sizePattern, Default: orNothing(k.Default)}
	}
	return text(k)
}

// orNothing leaves out a default that there is not.
func orNothing(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func list(k *config.Key) *schema {
	s := &schema{Type: "array", Items: section(k.Keys), MaxItems: number(k.Max)}
	s.MinItems = number(k.Min)
	if k.OneOf {
		s.Items.MinProperties, s.Items.MaxProperties = 1, 1
		s.Items.Required = nil
	}
	return s
}

func text(k *config.Key) *schema {
	s := &schema{Type: "string"}
	if k.Default != "" {
		s.Default = k.Default
	}
	if k.Example != "" {
		s.Examples = []any{k.Example}
	}
	for _, word := range k.Enum {
		s.Enum = append(s.Enum, word)
	}
	if k.Form == "name" {
		s.Pattern = config.NamePattern
	}
	return s
}

// describe is the key's sentence with what a schema has no word for.
func describe(k *config.Key) string {
	doc := k.Doc
	if k.Kind == config.KindDuration || k.Kind == config.KindSize {
		doc += " From " + k.Min + " to " + k.Max + "."
	}
	if k.Env != "" {
		doc += " Environment: " + k.Env + "."
	}
	return doc
}

// number reads a number of a tag; the tags' own test makes sure that it is one.
func number(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}
