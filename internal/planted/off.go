//go:build !quorate_planted

// Package planted puts known bugs into test builds, to prove that the chaos rig would find them. It must not know what
// they do: whoever keeps a promise asks here whether to break it. In every other build the answer is a constant no, and
// the compiler leaves the question out.
package planted

// On reports whether a bug is planted.
func On(string) bool { return false }
