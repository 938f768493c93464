package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// fault is a problem of a value, before it is known where the value stands.
type fault struct{ what, write string }

// parse reads text as the key's kind, checks range, words and form, and returns the value.
func (k *Key) parse(text string) (any, *fault) {
	switch k.Kind {
	case KindNumber:
		return k.parseNumber(text)
	case KindSwitch:
		switch text {
		case "true", "false":
			return text == "true", nil
		}
		return nil, &fault{show(text) + " is not a switch", "true or false"}
	case KindDuration:
		return k.parseDuration(text)
	case KindSize:
		return k.parseSize(text)
	}
	return k.parseText(text)
}

func (k *Key) parseNumber(text string) (any, *fault) {
	n, err := strconv.Atoi(text)
	if err != nil {
		return nil, &fault{show(text) + " is not a whole number", "a number such as " + k.sample()}
	}
	lo, _ := strconv.Atoi(k.Min)
	hi, _ := strconv.Atoi(k.Max)
	if n < lo || n > hi {
		return nil, k.outOfRange(text)
	}
	return n, nil
}

func (k *Key) parseDuration(text string) (any, *fault) {
	d, err := time.ParseDuration(text)
	if err != nil {
		return nil, &fault{show(text) + " is not a duration", "a number with a unit such as " + k.sample()}
	}
	lo, _ := time.ParseDuration(k.Min)
	hi, _ := time.ParseDuration(k.Max)
	if d < lo || d > hi {
		return nil, k.outOfRange(text)
	}
	return d, nil
}

func (k *Key) parseSize(text string) (any, *fault) {
	n, err := ParseSize(text)
	if err != nil {
		return nil, &fault{show(text) + " is not a size", "a whole number with the unit B, KiB, MiB or GiB such as " + k.sample()}
	}
	lo, _ := ParseSize(k.Min)
	hi, _ := ParseSize(k.Max)
	if n < lo || n > hi {
		return nil, k.outOfRange(text)
	}
	return n, nil
}

func (k *Key) parseText(text string) (any, *fault) {
	if text == "" {
		return text, nil
	}
	if k.Enum != nil && !slices.Contains(k.Enum, text) {
		return nil, &fault{show(text) + " is not one of the words known here", orList(k.Enum)}
	}
	if check := forms(k.Form); check != nil {
		if f := check(text); f != nil {
			return nil, f
		}
	}
	return text, nil
}

func (k *Key) outOfRange(text string) *fault {
	return &fault{show(text) + " is out of range", fmt.Sprintf("%s to %s", k.Min, k.Max)}
}

// sample is a value that would be right.
func (k *Key) sample() string {
	if k.Default != "" {
		return k.Default
	}
	return k.Example
}

// setDefaults gives every key below v its default. The defaults are this package's own, so a bad
// one is a mistake of the program; a test parses them all.
func setDefaults(v reflect.Value, keys []Key) {
	for i := range keys {
		k := &keys[i]
		field := v.Field(k.index)
		switch {
		case k.Kind == KindSection && field.Kind() == reflect.Struct:
			setDefaults(field, k.Keys)
		case k.Default != "":
			value, f := k.parse(k.Default)
			if f != nil {
				panic("config: default of " + k.Path + " " + f.what)
			}
			field.Set(reflect.ValueOf(value))
		}
	}
}

// orList writes words as "a, b or c".
func orList(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}
