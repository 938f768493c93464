package host

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Companion is the configuration of a strategy whose program comes with this one but is a file of its own: it is looked
// for beside this program, then in PATH. It is trusted as this program is, without a checksum; one that anybody could
// exchange is refused.
func Companion(name, program string) (Config, error) {
	self, err := os.Executable()
	if err != nil {
		return Config{}, fmt.Errorf("host: %w", err)
	}
	path := filepath.Join(filepath.Dir(self), program)
	if _, err := os.Stat(path); err != nil {
		if path, err = exec.LookPath(program); err == nil {
			path, err = filepath.Abs(path)
		}
		if err != nil {
			return Config{}, fmt.Errorf("host: strategy %s: %s is neither beside %s nor in PATH; install it there, or name it under plugin", name, program, self)
		}
	}
	info, err := os.Stat(path)
	if err == nil && info.Mode().Perm()&0o002 != 0 {
		err = errors.New("anybody may write to it; run chmod o-w on it")
	}
	if err != nil {
		return Config{}, fmt.Errorf("host: strategy %s: %s: %w", name, path, err)
	}
	return Config{Name: name, Path: path, Own: true}, nil
}
