package config

import (
	"errors"
	"fmt"
	"reflect"
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
		case k.Restart && !reflect.DeepEqual(x.Interface(), y.Interface()):
			changed = append(changed, k.Path)
		}
	}
	return changed
}
