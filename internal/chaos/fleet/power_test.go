package fleet

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/quorate/quorate/internal/chaos/history"
)

// A disk without power keeps what was synced, by whoever wrote it or by the machine, and nothing else.
func TestPower(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("CI runs as root, or disks that lose their power stay untested")
		}
		t.Skip("LOUD: not root, who may mount, so disks that lose their power stay untested")
	}
	m := &Member{Gateway: history.Gateway{Name: "gw-1"}, fleet: &Fleet{cfg: Config{Dir: t.TempDir(), Power: true}}}
	if err := m.mount(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.unmount)
	write := func(name string, sync bool) {
		t.Helper()
		f, err := os.Create(filepath.Join(m.data(), name+".new"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.WriteString("here")
		if sync {
			err = errors.Join(err, f.Sync())
		}
		if err = errors.Join(err, f.Close(), os.Rename(f.Name(), filepath.Join(m.data(), name))); err != nil {
			t.Fatal(err)
		}
	}
	write("before", false)
	if err := m.sync(); err != nil {
		t.Fatal(err)
	}
	write("synced", true)
	write("renamed", false)
	if d, err := os.Open(m.data()); err != nil || errors.Join(d.Sync(), d.Close()) != nil { // the names alone
		t.Fatal(err)
	}
	write("after", false)
	if err := m.lose(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"before": "here", "synced": "here", "renamed": "", "after": ""} {
		got, err := os.ReadFile(filepath.Join(m.data(), name))
		if string(got) != want || err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %q, want %q: %v", name, got, want, err)
		}
	}
}
