package config

import (
	"reflect"
	"regexp"
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
	for name, value := range vars {
		switch {
		case slices.Contains(known, name):
		case name == "QUORATE_ADMIN_URL" || name == "QUORATE_ADMIN_TOKEN": // not passed over: somebody may mean to guard a gateway by it
			d.append(Problem{Env: name, What: "is the Terraform provider's, not a gateway's", Write: "unset " + name + " in this shell; a gateway has QUORATE_ADMIN_ADDRESS and QUORATE_ADMIN_TOKEN_FILE"})
		case ofKubernetes(name, value):
			d.append(Problem{Env: name, What: "is not a setting but what Kubernetes tells pods of a Service whose name begins with quorate", Write: "enableServiceLinks: false into the pod's spec"})
		default:
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

// serviceVariable fits the variables that Kubernetes makes of a Service's name, but for NAME_PORT.
var serviceVariable = regexp.MustCompile(`_SERVICE_HOST$|_SERVICE_PORT(_[A-Z0-9_]+)?$|_PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$`)

// ofKubernetes reports whether a variable describes a Service. NAME_PORT could also be somebody's guess at a setting: its
// value tells.
func ofKubernetes(name, value string) bool {
	return serviceVariable.MatchString(name) || strings.HasSuffix(name, "_PORT") && strings.Contains(value, "://")
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
