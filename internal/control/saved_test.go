package control

import (
	"errors"
	"testing"
)

// What holds nothing is no snapshot to restore: the operator would be told that all is as it was, and nothing is.
func TestLoadOfNothing(t *testing.T) {
	n := solo(t, nil)
	empty, err := pack(saved{Format: savedFormat, Parts: map[string][]byte{}})
	must(t, err)
	for name, b := range map[string][]byte{"no parts": empty, "cut": empty[:len(empty)/2], "no bytes": nil} {
		if err := n.Load(t.Context(), b); !errors.Is(err, ErrBadSnapshot) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
