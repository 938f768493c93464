package config

import (
	"reflect"
	"slices"
	"strings"
)

const envPrefix = "QUORATE_"

// environment applies the QUORATE_* variables among environ ("NAME=value") over what the file
// said. An empty variable gives the key its default back, as an empty value in the file does.
func (d decoder) environment(root reflect.Value, keys []Key, environ []string) {
	vars := map[string]string{}
	for _, e := range environ {
		if name, value, _ := strings.Cut(e, "="); strings.HasPrefix(name, envPrefix) {
			vars[name] = value
		}
	}
	if len(vars) == 0 {
		return
	}
	known := d.overlay(root, keys, vars, nil)
	for name := range vars {
		if !slices.Contains(known, name) {
			d.unknownVariable(name, known)
		}
	}
}

// overlay sets every key that has a variable and returns the names of all variables there are.
func (d decoder) overlay(v reflect.Value, keys []Key, vars map[string]string, known []string) []string {
	for i := range keys {
		k := &keys[i]
		if k.Kind == KindSection {
			known = d.overlay(v.Field(k.index), k.Keys, vars, known)
			continue
		}
		if k.Env == "" {
			continue
		}
		known = append(known, k.Env)
		if text, ok := vars[k.Env]; ok {
			d.variable(v.Field(k.index), k, text)
		}
	}
	return known
}

func (d decoder) variable(field reflect.Value, k *Key, text string) {
	d.envs[k.Path] = k.Env
	if text == "" {
		text = k.Default
	}
	value, f := k.parse(text)
	if f != nil {
		d.append(Problem{Env: k.Env, Key: k.Path, What: f.what, Write: f.write})
		d.bad[k.Path] = true
		return
	}
	field.Set(reflect.ValueOf(value))
}

func (d decoder) unknownVariable(name string, known []string) {
	bare := make([]string, len(known)) // without the prefix, which would make all of them near
	for i, k := range known {
		bare[i] = strings.TrimPrefix(k, envPrefix)
	}
	write := "a variable listed in docs/configuration.md"
	if near := nearest(strings.TrimPrefix(name, envPrefix), bare); near != "" {
		write = envPrefix + near
	}
	d.append(Problem{Env: name, What: "is not a known variable", Write: write})
}
