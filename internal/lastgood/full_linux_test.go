package lastgood

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/logbook"
	"github.com/quorate/quorate/regions"
)

// fullDisk makes dir a file system of 64 KiB, or, where mounting is not allowed, has the next write run into
// /dev/full. It reports which.
func fullDisk(t *testing.T, dir string) (mounted bool) {
	t.Helper()
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k")
	if err == nil {
		t.Cleanup(func() {
			if err := syscall.Unmount(dir, 0); err != nil {
				t.Error(err)
			}
		})
		return true
	}
	t.Logf("no tmpfs here, so /dev/full stands for the disk: %v", err)
	return false
}

// On a full disk the old set stays whole, the error is told once, and the set is saved when there is room again.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	mounted := fullDisk(t, dir)
	synctest.Test(t, func(t *testing.T) {
		var log logbook.Book
		s, _ := open(t, dir, &log)
		s.Keep(sample(time.Now()))
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if !mounted {
			if err := os.Symlink("/dev/full", filepath.Join(dir, fileName+".new")); err != nil {
				t.Fatal(err)
			}
		}
		big := sample(time.Now())
		for i := range 2000 {
			n := big["search"][0]
			n.ID, n.URL = regions.NodeID(fmt.Sprint("n", i)), fmt.Sprintf("https://h%d/mcp", i)
			big["search"] = append(big["search"], n)
		}
		s.Keep(big)
		synctest.Wait()
		if mounted {
			time.Sleep(30 * time.Second)
			synctest.Wait()
		}
		if n := strings.Count(log.String(), "are not saved"); n != 1 || !strings.Contains(log.String(), syscall.ENOSPC.Error()) {
			t.Errorf("told %d times:\n%s", n, log.String())
		}
		other, set := open(t, dir, nil)
		closed(t, other)
		if len(set["search"]) != 2 {
			t.Errorf("the old set is gone: %v", set)
		}
		if mounted {
			if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=4m"); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if !strings.Contains(log.String(), "saved again") {
			t.Errorf("not saved when there was room again:\n%s", log.String())
		}
		closed(t, s)
		s, set = open(t, dir, nil)
		closed(t, s)
		if len(set["search"]) != 2002 {
			t.Errorf("%d nodes", len(set["search"]))
		}
	})
}
