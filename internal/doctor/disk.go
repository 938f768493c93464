package doctor

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// disk examines the directory for state.
func (e *examination) disk() {
	dir := e.cfg.DataDir
	if dir == "" {
		return
	}
	row := e.begin(place{subject: aboutDisk}, "data_dir", dir)
	found, err := existing(dir)
	if err == nil {
		err = writable(found)
	}
	switch {
	case err != nil:
		row.set(Fail, plainly(err), "make it writable for the user that runs quorate serve, or name another data_dir")
	case found != dir:
		row.set(OK, "does not exist yet, can be made in "+found, "-")
	default:
		row.set(OK, "writable", "-")
	}
}

// existing returns dir, or the nearest directory above it that exists.
func existing(dir string) (string, error) {
	for {
		_, err := os.Stat(dir)
		if up := filepath.Dir(dir); errors.Is(err, fs.ErrNotExist) && up != dir {
			dir = up
			continue
		}
		return dir, err
	}
}

// writable reports why no file can be written in dir. The file that it tries has no name (open(2), O_TMPFILE), so none
// is left behind; a file system that has no such files is asked for the permission alone.
func writable(dir string) error {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
	switch {
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EISDIR):
		return unix.Access(dir, unix.W_OK|unix.X_OK)
	case err != nil:
		return err
	}
	_, err = unix.Write(fd, make([]byte, 512)) // a full disk takes a name, but no content
	return errors.Join(err, unix.Close(fd))
}
