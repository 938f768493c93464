package fleet

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// No namespace of Linux has a wall clock of its own, and a Go program does not ask libc. It asks the vDSO, code that
// the kernel maps into every process. So a process gets another wall clock by a function of its own in that place:
// it makes the system call and, for CLOCK_REALTIME, adds seconds. CLOCK_MONOTONIC and all other processes stay as
// they are.
var wallClock = []byte{
	0xb8, 0xe4, 0x00, 0x00, 0x00, // mov eax, 228 (clock_gettime; clock in edi, timespec at rsi)
	0x0f, 0x05, // syscall
	0x85, 0xff, // test edi, edi (CLOCK_REALTIME is 0)
	0x75, 0x07, // jne ret
	0x48, 0x81, 0x06, 0, 0, 0, 0, // add qword [rsi], seconds
	0xc3, // ret
}

// wallSeconds is where in it the seconds stand.
const wallSeconds = 14

// region is a range of a process's memory.
type region struct{ from, until uint64 }

// setWallClock puts a process's wall clock off by d, in whole seconds. The process must stand still.
func setWallClock(pid int, d time.Duration) error {
	vdso, err := findVDSO(pid)
	if err != nil {
		return err
	}
	if err := outside(pid, vdso); err != nil {
		return err
	}
	mem, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer mem.Close()
	image := make([]byte, vdso.until-vdso.from)
	if _, err := mem.ReadAt(image, int64(vdso.from)); err != nil {
		return err
	}
	at, err := clockGettime(image)
	if err != nil {
		return err
	}
	code := bytes.Clone(wallClock)
	binary.LittleEndian.PutUint32(code[wallSeconds:], uint32(int32(d/time.Second)))
	_, err = mem.WriteAt(code, int64(vdso.from+at))
	return err
}

// errInside is returned while a thread stands in the code that is to be replaced.
var errInside = errors.New("a thread is reading the clock")

func findVDSO(pid int) (region, error) {
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return region{}, err
	}
	for line := range strings.Lines(string(maps)) {
		var r region
		if _, err := fmt.Sscanf(line, "%x-%x", &r.from, &r.until); err == nil && strings.Contains(line, "[vdso]") {
			return r, nil
		}
	}
	return region{}, errors.New("no vDSO")
}

// clockGettime finds the function in the image; the symbol has to have room for ours.
func clockGettime(image []byte) (uint64, error) {
	f, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		return 0, fmt.Errorf("vDSO: %w", err)
	}
	symbols, err := f.DynamicSymbols()
	if err != nil {
		return 0, fmt.Errorf("vDSO: %w", err)
	}
	for _, s := range symbols {
		if s.Name == "__vdso_clock_gettime" && s.Value+uint64(len(wallClock)) <= uint64(len(image)) {
			if s.Size < uint64(len(wallClock)) {
				return 0, fmt.Errorf("vDSO: %s has %d bytes", s.Name, s.Size)
			}
			return s.Value, nil
		}
	}
	return 0, errors.New("vDSO: no clock_gettime")
}

// outside checks that no thread stands in the region.
func outside(pid int, r region) error {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", pid))
	if err != nil {
		return err
	}
	for _, t := range tasks {
		text, err := os.ReadFile(t)
		if err != nil {
			return err
		}
		fields := strings.Fields(string(text))
		var pc uint64
		if _, err := fmt.Sscanf(fields[len(fields)-1], "0x%x", &pc); err != nil {
			return fmt.Errorf("where a thread stands: %q", text)
		}
		if pc >= r.from && pc < r.until {
			return errInside
		}
	}
	return nil
}
