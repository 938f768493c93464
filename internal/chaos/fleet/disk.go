package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// diskSize is what a gateway's data may take where its disk can be filled.
const diskSize = "16m"

// ballast is the file that fills a disk.
const ballast = "ballast"

// mount gives the data folder a disk of its own, if it is to have one: one that can lose its power, or a small one in
// memory. Either can be filled.
func (m *Member) mount(ctx context.Context) (err error) {
	if !m.fleet.cfg.Disks && !m.fleet.cfg.Power {
		return nil
	}
	if err := os.MkdirAll(m.data(), 0o700); err != nil {
		return err
	}
	if m.fleet.cfg.Power {
		err = errors.Join(m.format(ctx), m.attach(ctx))
	} else {
		err = unix.Mount("quorate-chaos", m.data(), "tmpfs", 0, "mode=0700,size="+diskSize)
	}
	m.mounted = err == nil
	return err
}

// unmount takes the disk away, with all that is on it.
func (m *Member) unmount() {
	if m.mounted {
		_ = unix.Unmount(m.data(), unix.MNT_DETACH) // what is not mounted needs none
	}
}

// zeros never end.
type zeros struct{}

// Read fills p with zeros.
func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// fill fills the disk to its last byte.
func (m *Member) fill() error {
	if !m.mounted {
		return errors.New("the disk is the machine's")
	}
	f, err := os.OpenFile(filepath.Join(m.data(), ballast), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.Copy(f, zeros{}); !errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("fill the disk: %w", err)
	}
	return nil
}

// wipe ends a life and takes everything off its disk.
func (m *Member) wipe() error {
	m.kill()
	all, err := os.ReadDir(m.data())
	for _, e := range all {
		err = errors.Join(err, os.RemoveAll(filepath.Join(m.data(), e.Name())))
	}
	return err
}

// free does what an operator does: makes room and starts the gateway anew, since one that could not write what it
// promised must not go on.
func (m *Member) free(ctx context.Context) error {
	if err := os.Remove(filepath.Join(m.data(), ballast)); err != nil {
		return err
	}
	m.kill()
	return m.restart(ctx)
}
