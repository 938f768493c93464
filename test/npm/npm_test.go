package npm_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quorate/quorate/test/npm"
)

// TestLockNamesNoHost keeps the lock file installable from any registry.
func TestLockNamesNoHost(t *testing.T) {
	lock, err := os.ReadFile("package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(lock), `"resolved"`) {
		t.Error("package-lock.json has resolved URLs; write it again with omit-lockfile-registry-resolved=true")
	}
}

// TestDirMatchesScript keeps the two computations of the folder the same.
func TestDirMatchesScript(t *testing.T) {
	out, err := exec.Command("../../scripts/npm-dir").Output()
	if err != nil {
		t.Fatal(err)
	}
	want := strings.TrimSpace(string(out))
	dir, err := npm.Dir()
	switch {
	case errors.Is(err, npm.ErrNotInstalled):
		if !strings.Contains(err.Error(), want) {
			t.Errorf("Dir looks at another folder than %s: %v", want, err)
		}
	case err != nil:
		t.Fatal(err)
	case dir != want:
		t.Errorf("Dir = %s, the script says %s", dir, want)
	}
}

// TestMissingIsSaid checks that an empty cache is an error that names the remedy, not an empty path.
func TestMissingIsSaid(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", filepath.Join(t.TempDir(), "none"))
	if _, err := npm.Bin("node"); !errors.Is(err, npm.ErrNotInstalled) {
		t.Errorf("Bin on an empty cache = %v, want ErrNotInstalled", err)
	}
}
