package consulproc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// ErrNotInstalled is returned when the pinned Consul was not built on this machine.
var ErrNotInstalled = errors.New("consulproc: consul is not installed; run scripts/install-tools consul")

// Binary returns the path of the Consul that tools/consul pins. It has to run within the module.
func Binary(ctx context.Context) (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", fmt.Errorf("consulproc: binary: %w", err)
	}
	out, err := exec.CommandContext(ctx, filepath.Join(root, "scripts", "tools-dir"), "consul").Output()
	if err != nil {
		return "", fmt.Errorf("consulproc: binary: tools-dir: %w", err)
	}
	path := filepath.Join(strings.TrimSpace(string(out)), "consul")
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%w (%w)", ErrNotInstalled, err)
	}
	return path, nil
}

// moduleRoot is the nearest folder upwards that has the script which knows where tools are.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "scripts", "tools-dir")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("not within the module")
		}
		dir = up
	}
}
