// Package atomicfile replaces small files as a whole, so that a crash leaves the old one or the new one, and reads
// them within bounds. It must not know what is in them.
package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/quorate/quorate/internal/planted"
)

// MakeDir makes a directory for files that only this user may read, with its parents.
func MakeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	return nil
}

// Write replaces the file at path and returns when the new content is safe on disk. On an error the old content is
// still there, or, if only the last step failed, perhaps the new one. Two Writes of one path at a time spoil each other.
func Write(path string, content []byte) error {
	fresh := path + ".new" // one name: what a crash leaves is overwritten by the next Write
	if err := writeSynced(fresh, content); err != nil {
		return errors.Join(err, os.Remove(fresh))
	}
	if err := os.Rename(fresh, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func writeSynced(path string, b []byte) error {
	w, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	if err == nil {
		err = toDisk(w)
	}
	return errors.Join(err, w.Close())
}

// syncDir makes a rename in dir safe.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(toDisk(d), d.Close())
}

// toDisk returns when a file or directory is safe, as it is now.
func toDisk(f *os.File) error {
	if planted.On(planted.Fsync) {
		return nil
	}
	return f.Sync()
}

// Read returns the file at path, or an error if it has more than max bytes. One that is not there is fs.ErrNotExist.
func Read(path string, max int64) ([]byte, error) {
	r, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, max+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(b)) > max:
		return nil, fmt.Errorf("more than %d bytes", max)
	}
	return b, nil
}

// SetAside renames a file that is no good, so that the next Write does not destroy what somebody may want to look at.
// It returns cause with the new name in it.
func SetAside(path string, now time.Time, cause error) error {
	aside := path + ".bad-" + now.UTC().Format("20060102T150405.000000000Z")
	if moved := os.Rename(path, aside); moved != nil {
		return errors.Join(cause, moved)
	}
	return fmt.Errorf("%w; set aside as %s", cause, aside)
}
