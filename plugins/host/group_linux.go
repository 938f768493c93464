package host

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// ownGroup puts a process into a group of its own, so that it and its children can be killed together and a terminal's
// Ctrl-C does not reach it, and makes the kernel kill it when the thread that started it ends.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// awaitExit returns when the process has ended and leaves it to be reaped, which it reports. Until then its number is
// nobody else's.
func awaitExit(pid int) bool {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err == nil
		}
	}
}

// Self returns the path of this program, also after its file was replaced by a newer release: a strategy that is part
// of a gateway is of that gateway's release.
func Self() (string, error) { return "/proc/self/exe", nil }
