//go:build quorate_planted

// Package planted puts known bugs into test builds, to prove that the chaos rig would find them. It must not know what
// they do: whoever keeps a promise asks here whether to break it. In every other build the answer is a constant no, and
// the compiler leaves the question out.
package planted

import (
	"os"
	"slices"
	"strings"
)

// On reports whether a bug is planted: PLANTED_BUGS names those that are, separated by commas. It has no
// prefix of ours, since the configuration refuses variables that it does not know.
func On(bug string) bool {
	return slices.Contains(strings.Split(os.Getenv("PLANTED_BUGS"), ","), bug)
}
