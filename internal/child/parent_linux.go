package child

import "syscall"

// dieWithParent makes the kernel kill the child when its launcher's thread ends, so that a killed
// demo or test leaves nothing behind. A group of its own keeps a terminal's Ctrl-C from the child:
// its parent decides the order of the shutdown.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
