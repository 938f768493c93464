package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is the kernel's unit of process times in /proc, 1/100 s on every Linux architecture that Go
// runs on. The kernel scales them to the precise run time, so only the last tick is rounded.
const tick = 10 * time.Millisecond

// cpu returns the processor time of a process so far: all its threads, the children that live, and
// those it has waited for.
func cpu(pid int) (time.Duration, error) {
	fields, err := stat(pid)
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for _, i := range []int{14, 15, 16, 17} { // utime, stime, cutime, cstime of proc_pid_stat(5)
		n, err := strconv.ParseInt(fields[i-3], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("proxy: cpu of %d: %w", pid, err)
		}
		sum += time.Duration(n) * tick
	}
	children, err := children(pid)
	if err != nil {
		return 0, err
	}
	for _, c := range children {
		n, err := cpu(c)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// stat returns the fields after the command's name, which may hold spaces: the first is field 3.
func stat(pid int) ([]string, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, fmt.Errorf("proxy: cpu: %w", err)
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 22 {
		return nil, fmt.Errorf("proxy: cpu of %d: %d fields", pid, len(fields))
	}
	return fields, nil
}

func children(pid int) ([]int, error) {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return nil, fmt.Errorf("proxy: cpu: %w", err)
	}
	var pids []int
	for _, t := range tasks {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, t.Name()))
		if err != nil {
			continue // the thread has ended
		}
		for _, word := range strings.Fields(string(b)) {
			if c, err := strconv.Atoi(word); err == nil {
				pids = append(pids, c)
			}
		}
	}
	return pids, nil
}

// resident returns the physical memory of a process, in bytes.
func resident(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, fmt.Errorf("proxy: memory: %w", err)
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0, fmt.Errorf("proxy: memory of %d: %q", pid, b)
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("proxy: memory of %d: %w", pid, err)
	}
	return pages * int64(os.Getpagesize()), nil
}
