package child

import (
	"bytes"
	"fmt"
	"os"
)

// Alive reports whether a process runs, whoever started it; one that has ended and that nobody has reaped does not. It
// wants Linux's /proc.
func Alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !bytes.Contains(stat, []byte(") Z "))
}
