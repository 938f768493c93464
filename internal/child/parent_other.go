//go:build !linux

package child

import "syscall"

// dieWithParent has no kernel support here: a killed parent may leave children behind.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }
