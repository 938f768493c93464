package child

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// pauseBound is how long the threads of a process may take to stand still.
const pauseBound = 5 * time.Second

// Pause sends SIGSTOP and returns when every thread stands still: the kernel stops them one after the other, and one
// that runs on another processor may still answer somebody. Where there is no /proc it returns at once.
func (p *Process) Pause() error {
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	for end := time.Now().Add(pauseBound); !p.stands(); {
		if time.Now().After(end) {
			return fmt.Errorf("child: process %d does not stop", p.PID())
		}
		time.Sleep(100 * time.Microsecond)
	}
	return nil
}

// stands reports whether no thread of the process runs.
func (p *Process) stands() bool {
	all, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.PID()))
	if err != nil {
		return true
	}
	for _, path := range all {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// PID (NAME) STATE …, where the name may hold anything (proc(5)).
		if at := bytes.LastIndexByte(b, ')'); at >= 0 && at+2 < len(b) && b[at+2] != 'T' && b[at+2] != 't' && b[at+2] != 'Z' && b[at+2] != 'X' {
			return false
		}
	}
	return true
}
