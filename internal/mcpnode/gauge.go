package mcpnode

import (
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// Gauge is a number of tool calls in flight that outlives its process: a shared mapping of a small
// file. A SIGKILL leaves the value of the last moment in it, which proves that a kill hit a call.
type Gauge struct {
	mem   []byte
	value *atomic.Int64
}

const gaugeSize = 8

// CreateGauge maps path at zero for the process that counts; an empty path counts in memory only.
func CreateGauge(path string) (*Gauge, error) {
	if path == "" {
		return &Gauge{value: new(atomic.Int64)}, nil
	}
	g, err := OpenGauge(path)
	if err != nil {
		return nil, err
	}
	g.value.Store(0)
	return g, nil
}

// OpenGauge maps path for the process that watches, creating it at zero.
func OpenGauge(path string) (*Gauge, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("mcpnode: gauge: %w", err)
	}
	defer func() { _ = f.Close() }() // the mapping stays
	if err := f.Truncate(gaugeSize); err != nil {
		return nil, fmt.Errorf("mcpnode: gauge: %w", err)
	}
	mem, err := syscall.Mmap(int(f.Fd()), 0, gaugeSize, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mcpnode: gauge: map: %w", err)
	}
	// A mapping is page-aligned, which suits an atomic 64-bit value.
	return &Gauge{mem: mem, value: (*atomic.Int64)(unsafe.Pointer(&mem[0]))}, nil
}

// InFlight returns the number of tool calls that the process executes, or executed when it died.
func (g *Gauge) InFlight() int64 { return g.value.Load() }

func (g *Gauge) add(n int64) { g.value.Add(n) }

// Close unmaps the file; the gauge must not be used afterwards.
func (g *Gauge) Close() {
	if g.mem != nil {
		_ = syscall.Munmap(g.mem)
	}
}
