package fleet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"

	"github.com/quorate/quorate/internal/testnet"
)

// A process that is killed loses nothing that it wrote, since the kernel still has it. For the power to fail, a gateway's
// data are on a file system of their own that is shut down: the kernel itself then drops what it was not asked to make
// safe, and what is mounted next is what a disk would hold.
const (
	// imageSize is that of the file with the file system, in bytes. It has holes.
	imageSize = 64 << 20
	// options have the kernel write by itself as little as it can: nothing of the journal within a run, and no content
	// of a file for its having been renamed. Whoever relies on either relies on luck.
	options = "loop,noatime,commit=300,noauto_da_alloc"
	// shutdown is FS_IOC_SHUTDOWN, and withoutLog its way to lose the part of the journal that is in memory, too. They
	// are the kernel's, and not in x/sys.
	shutdown   = 0x8004587d
	withoutLog = 2
)

func (m *Member) image() string { return m.data() + ".img" }

// format makes the file system.
func (m *Member) format(ctx context.Context) error {
	f, err := os.OpenFile(m.image(), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Truncate(imageSize), f.Close()); err != nil {
		return err
	}
	return tool(ctx, "mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard", m.image())
}

// attach puts it in the place of the data.
func (m *Member) attach(ctx context.Context) error {
	return tool(ctx, "mount", "-o", options, m.image(), m.data())
}

// tool runs one of the system's programs, which need not be on everybody's path.
func tool(ctx context.Context, name string, args ...string) error {
	path, err := exec.LookPath(name)
	if err != nil {
		path = "/usr/sbin/" + name
	}
	if said, err := exec.CommandContext(ctx, path, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %.300s", name, err, said)
	}
	return nil
}

// onDisk does something with the root of the disk.
func (m *Member) onDisk(do func(fd int) error) error {
	if !m.fleet.cfg.Power {
		return errors.New("the disk is not one whose power can fail")
	}
	d, err := os.Open(m.data())
	if err != nil {
		return err
	}
	return errors.Join(do(int(d.Fd())), d.Close())
}

// sync makes the disk keep all that was written so far.
func (m *Member) sync() error { return m.onDisk(unix.Syncfs) }

// cutPower ends a life as a power cut of its machine does. The disk is there again when it returns.
func (m *Member) cutPower() error {
	m.kill()
	return m.lose()
}

// lose has the disk forget what it was not made to keep.
func (m *Member) lose() error {
	if err := m.onDisk(func(fd int) error { return unix.IoctlSetPointerInt(fd, shutdown, withoutLog) }); err != nil {
		return fmt.Errorf("power: %w", err)
	}
	var err error
	// A strategy's process ends a moment after its gateway.
	if late := testnet.Await(5*time.Second, "the disk is free", func() bool {
		err = unix.Unmount(m.data(), 0)
		return !errors.Is(err, unix.EBUSY)
	}); late != nil || err != nil {
		return errors.Join(late, err)
	}
	return m.attach(context.Background()) // it is given back even when the run is broken off
}
