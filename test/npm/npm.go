// Package npm says where the pinned npm packages of the tests are installed.
// It must not install anything, nor know what the packages are used for.
package npm

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ErrNotInstalled is returned when the packages of this lock file are not on the machine.
var ErrNotInstalled = errors.New("npm: packages not installed; run scripts/install-test-deps.sh")

//go:embed package-lock.json
var lock []byte

// Dir returns the folder whose node_modules holds the packages of package-lock.json, the same that
// scripts/npm-dir prints: $XDG_CACHE_HOME (default $HOME/.cache) /quorate/npm/<start of the lock's SHA-256>.
func Dir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("npm: dir: %w", err)
	}
	sum := sha256.Sum256(lock)
	dir := filepath.Join(cache, "quorate", "npm", hex.EncodeToString(sum[:8]))
	// The installer writes the stamp last, so a half installed folder does not count.
	if _, err := os.Stat(filepath.Join(dir, "installed")); err != nil {
		return "", fmt.Errorf("%w (%w)", ErrNotInstalled, err)
	}
	return dir, nil
}

// Bin returns the path of an executable of the packages: "node" (Node 22), "mcp-server-everything".
func Bin(name string) (string, error) {
	dir, err := Dir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "node_modules", ".bin", name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("npm: bin %s: %w", name, err)
	}
	return path, nil
}
