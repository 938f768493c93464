package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/quorate/quorate/strategies"
)

// suffix is that of a file that is whole.
const suffix = ".json"

// prepare makes the folder, and one below it for each first byte of a name.
func prepare(folder string) error {
	for i := range 256 {
		if err := os.MkdirAll(filepath.Join(folder, fmt.Sprintf("%02x", i)), 0o700); err != nil {
			return unavailable(err)
		}
	}
	return nil
}

// update reads, changes and writes what there is of a key as one step, also between processes: the lock is the kernel's,
// on the folder that the key's file is in.
func (s *store) update(key string, change func(*entry) bool) error {
	sum := sha256.Sum256([]byte(key))
	name := hex.EncodeToString(sum[:])
	folder := filepath.Join(s.folder, name[:2])
	lock, err := os.Open(folder)
	if err != nil {
		return unavailable(err)
	}
	defer lock.Close() // which unlocks
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return unavailable(err)
	}
	file := filepath.Join(folder, name+suffix)
	e, err := read(file)
	if err == nil && e.over() {
		e, err = &entry{}, os.Remove(file)
	}
	if err != nil {
		return unavailable(err)
	}
	if !change(e) {
		return nil
	}
	e.Key = key
	return unavailable(write(lock, file, e))
}

// read returns what a file holds, and nothing where there is none.
func read(file string) (*entry, error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return &entry{}, nil
	}
	var e entry
	if err == nil {
		err = json.Unmarshal(data, &e)
	}
	return &e, err
}

// write puts the file there whole, and returns when it would outlive a crash.
func write(folder *os.File, file string, e *entry) error {
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	next := file + ".next"
	f, err := os.OpenFile(next, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(next, file)
	}
	if err == nil {
		err = folder.Sync()
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", strategies.ErrFull, err)
	}
	return err
}
