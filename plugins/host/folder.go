package host

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	// folderPrefix begins the name of a life's folder; os.MkdirTemp adds digits.
	folderPrefix = "q-"
	// ownerFile stands in every such folder, locked for as long as its host lives: the kernel lets go of the lock
	// however that ends. A folder without it is somebody else's.
	ownerFile = ".quorate-host"
	// maxSwept bounds how many entries of a folder are looked at.
	maxSwept = 10_000
)

// folder is where one life has its socket.
type folder struct {
	path  string
	owner *os.File
}

// newFolder makes one that sweep leaves alone. It is made again if a sweep came before it had its lock.
func newFolder(in string) (f *folder, err error) {
	for range 3 {
		if f, err = makeFolder(in); err == nil {
			return f, nil
		}
	}
	return nil, err
}

func makeFolder(in string) (*folder, error) {
	path, err := os.MkdirTemp(in, folderPrefix)
	if err != nil {
		return nil, err
	}
	owner, err := own(filepath.Join(path, ownerFile), os.O_CREATE|os.O_EXCL)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(path))
	}
	return &folder{path: path, owner: owner}, nil
}

// remove gives it back.
func (f *folder) remove() {
	_ = os.RemoveAll(f.path)
	_ = f.owner.Close()
}

// own opens and locks an owner's file. It is an error if another process, or another part of this one, has it locked,
// or has removed it meanwhile.
func own(path string, flags int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW|flags, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lock(f, path); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	return f, nil
}

func lock(f *os.File, path string) error {
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return err
	}
	here, err := f.Stat()
	if err != nil {
		return err
	}
	there, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !os.SameFile(here, there) {
		return errors.New("another file is there now")
	}
	return nil
}

// sweep removes the folders that killed hosts left, and returns how many. What it cannot read or remove stays.
func sweep(in string) (removed int) {
	dir, err := os.Open(in)
	if err != nil {
		return 0
	}
	defer dir.Close()
	for seen := 0; seen < maxSwept; {
		entries, err := dir.ReadDir(256)
		for _, e := range entries {
			if isFolder(e) && sweepOne(filepath.Join(in, e.Name())) {
				removed++
			}
		}
		seen += len(entries)
		if err != nil { // io.EOF at the end
			return removed
		}
	}
	return removed
}

// isFolder reports whether an entry may be a life's folder. A link never is.
func isFolder(e os.DirEntry) bool {
	digits, ok := strings.CutPrefix(e.Name(), folderPrefix)
	return ok && e.IsDir() && digits != "" && strings.Trim(digits, "0123456789") == ""
}

func sweepOne(path string) bool {
	owner, err := own(filepath.Join(path, ownerFile), 0)
	if err != nil {
		return false // in use, or none of ours
	}
	defer owner.Close()
	return os.RemoveAll(path) == nil
}
