//go:build unix && !linux

package host

import (
	"os"
	"syscall"
)

// ownGroup puts a process into a group of its own, so that it and its children can be killed together. There is no
// parent-death signal here: a killed gateway may leave plugins behind.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// awaitExit has nothing to wait with here that would not reap: what a plugin that ends by itself leaves in its group
// stays.
func awaitExit(int) bool { return false }

// Self returns the path of this program.
func Self() (string, error) { return os.Executable() }
