package host

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxExecutable bounds what is read for a checksum, in bytes.
const maxExecutable = 1 << 30

// Checksum returns the SHA-256 of an executable in hex, as sha256sum prints it.
func Checksum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("host: checksum: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("host: checksum: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxExecutable {
		return "", fmt.Errorf("host: checksum: %s is no file of at most %d bytes", path, maxExecutable)
	}
	h := sha256.New()
	if _, err := io.Copy(h, io.LimitReader(f, maxExecutable)); err != nil {
		return "", fmt.Errorf("host: checksum: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// verify refuses an executable that is not the one configured, and one that anybody could exchange between this look
// and its start.
func (c Config) verify() error {
	if c.Own {
		return nil
	}
	info, err := os.Stat(c.Path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrStart, err)
	}
	if info.Mode().Perm()&0o002 != 0 {
		return fmt.Errorf("%w: anybody may write to %s; run chmod o-w on it", ErrStart, c.Path)
	}
	got, err := Checksum(c.Path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrStart, err)
	}
	if !strings.EqualFold(got, c.SHA256) {
		return fmt.Errorf("%w: %s has the SHA-256 %s, configured is %s", ErrChecksum, c.Path, got, c.SHA256)
	}
	return nil
}
