package host

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/quorate/quorate/internal/child"
)

// A sweep takes what nobody holds, and only what a host has made.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	held, err := newFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer held.remove()
	left, err := newFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	_ = left.owner.Close() // as its end lets go of it
	for name, inside := range map[string]string{"q-notes": ownerFile, "q-": ownerFile, "q-7": "notes.txt", "r-7": ownerFile} {
		if err := errors.Join(os.Mkdir(filepath.Join(dir, name), 0o700), os.WriteFile(filepath.Join(dir, name, inside), nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	elsewhere := t.TempDir()
	if err := errors.Join(
		os.WriteFile(filepath.Join(elsewhere, ownerFile), nil, 0o600),
		os.Symlink(elsewhere, filepath.Join(dir, "q-8")),
		os.WriteFile(filepath.Join(dir, "q-9"), nil, 0o600),
	); err != nil {
		t.Fatal(err)
	}
	if n := sweep(dir); n != 1 {
		t.Errorf("%d folders", n)
	}
	if exists(left.path) {
		t.Error("what was left is there still")
	}
	for _, path := range []string{held.path, filepath.Join(dir, "q-notes"), filepath.Join(dir, "q-"), filepath.Join(dir, "q-7"), filepath.Join(dir, "r-7"),
		filepath.Join(dir, "q-8"), filepath.Join(dir, "q-9"), filepath.Join(elsewhere, ownerFile)} {
		if !exists(path) {
			t.Errorf("%s is gone", path)
		}
	}
	if n := sweep(filepath.Join(dir, "nowhere")); n != 0 {
		t.Errorf("%d folders of a folder that is not there", n)
	}
}

// exists reports whether there is such a name, be it a link's.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// TestFolderOfAKilledHost kills a host without notice. What it left goes when the next one starts, and the folder of
// one that lives beside them stays, with the plugin's socket in it.
func TestFolderOfAKilledHost(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	g := child.NewGroup()
	defer g.Close()
	start := func() *child.Process {
		p, _, err := g.Start(t.Context(), child.Spec{Path: self, Args: []string{"host", dir}, Ready: child.Stdout, ReadyMsg: "up"})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	killed := start()
	left := folders(t, dir)
	start()
	beside := folders(t, dir)
	killed.Kill()
	if len(left) != 1 || len(beside) != 2 || len(folders(t, dir)) != 2 {
		t.Fatalf("folders %q, then %q, then %q", left, beside, folders(t, dir))
	}
	cfg := config(t, "good")
	cfg.Dir = dir
	started(t, cfg)
	if exists(left[0]) {
		t.Errorf("%s is there still", left[0])
	}
	for _, path := range beside {
		if path != left[0] && !exists(path) {
			t.Errorf("%s of a living host is gone", path)
		}
	}
}

func folders(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, folderPrefix+"*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}
