//go:build unix

package regional

import (
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/failover"
)

// The disk hangs, as a pipe that nobody reads does: regions are judged all the same, and orders obeyed.
func TestDiskHangs(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, fileName+".new")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := onDisk(dir)
	cfg.Failover.Interval = 10 * time.Millisecond
	cfg.Failover.Vantages = 1
	var turns atomic.Int64
	looks := make(chan struct{}, 1000)
	cfg.Gather = func() []Evidence {
		if turns.Add(1) < 1000 {
			looks <- struct{}{}
		}
		return []Evidence{{Region: "eu", Nodes: 1}}
	}
	d := newDriver(t, cfg)
	stop := running(d)
	d.Receive("x", View{Region: "eu", orders: []order{{Region: "ap", State: failover.OrderOff, By: "x", Version: 3, Gateway: "eu/x"}}})
	for range 50 {
		<-looks
	}
	if s := statusOf(t, d, "eu"); s.State != regions.Evacuating && s.State != regions.Off {
		t.Errorf("a region that fails is %s while the disk hangs", s.State)
	}
	if !statusOf(t, d, "ap").Barred {
		t.Error("the order waits for the disk")
	}
	r, err := os.Open(pipe) // now it goes on
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Error(err)
	}
	stop()
}
