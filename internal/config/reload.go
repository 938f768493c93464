package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// ErrRestart is what CheckReload's error wraps.
var ErrRestart = errors.New("needs a restart")

// CheckReload reports which keys differ between old and new that only a restart can change. nil
// means that new can take old's place in a running gateway.
func CheckReload(old, new *Config) error {
	changed := restarts(reflect.ValueOf(old).Elem(), reflect.ValueOf(new).Elem(), Keys(), nil)
	if len(changed) == 0 {
		return nil
	}
	return fmt.Errorf("config: reload: change of %s %w", strings.Join(changed, ", "), ErrRestart)
}

func restarts(a, b reflect.Value, keys []Key, changed []string) []string {
	for i := range keys {
		k := &keys[i]
		x, y := a.Field(k.index), b.Field(k.index)
		switch {
		case k.Kind == KindSection:
			changed = restarts(x, y, k.Keys, changed)
		case k.Path == "services":
			changed = append(changed, serviceRestarts(x.Interface().([]Service), y.Interface().([]Service), k.Keys)...)
		case k.Restart && !reflect.DeepEqual(x.Interface(), y.Interface()):
			changed = append(changed, k.Path)
		}
	}
	return changed
}

// serviceRestarts compares the services that are in both. Their keys are shown with the service's
// name, because a changed list has other indexes.
func serviceRestarts(old, new []Service, keys []Key) (changed []string) {
	for i := range new {
		at := slices.IndexFunc(old, func(s Service) bool { return s.Name == new[i].Name })
		if at < 0 {
			continue
		}
		for _, path := range restarts(reflect.ValueOf(old[at]), reflect.ValueOf(new[i]), keys, nil) {
			changed = append(changed, strings.Replace(path, "[]", "["+new[i].Name+"]", 1))
		}
	}
	return changed
}
