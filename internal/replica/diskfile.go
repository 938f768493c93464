package replica

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/quorate/quorate/internal/atomicfile"
	"github.com/quorate/quorate/internal/planted"
)

// errPanic: bbolt met what it does not expect.
var errPanic = errors.New("panic")

// boltPatience bounds the wait for a file that another process holds.
const boltPatience = time.Second

// metaBucket holds what is said of the whole file.
func metaBucket() []byte { return []byte("meta") }

// wholeKey is there when the store had caught up.
func wholeKey() []byte { return []byte("whole") }

func slotBucket(slot int) []byte { return fmt.Appendf(nil, "slot-%02x", slot) }

// isFull reports whether an error says that the disk has no room, or that no file here may become larger (ulimit -f).
// Of growing and of syncing a file bbolt says so by the text alone.
func isFull(err error) bool {
	return err != nil && slices.ContainsFunc([]syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG}, func(full syscall.Errno) bool {
		return errors.Is(err, full) || strings.Contains(err.Error(), full.Error())
	})
}

// openDisk loads the file under dir. known: it says all that this store had, and the store had caught up.
func openDisk(s *Store, dir string) (d *disk, known bool, err error) {
	if err := atomicfile.MakeDir(dir); err != nil {
		return nil, false, err
	}
	d = &disk{s: s, path: filepath.Join(dir, "replica.db"), wake: make(chan struct{}, 1), dirty: map[Key]struct{}{}, changed: make(chan struct{})}
	err = d.open()
	switch {
	case err == nil:
		if known, err = d.load(); err == nil {
			return d, known, nil
		}
	case isFull(err):
		d.setFull()
		d.extra = true // so that it is tried again
		return d, false, nil
	case !isDamage(err):
		return nil, false, err
	}
	d.quarantine(err)
	return d, false, nil
}

func isDamage(err error) bool {
	return errors.Is(err, errDamaged) || errors.Is(err, bolterrors.ErrInvalid) || errors.Is(err, bolterrors.ErrChecksum) || errors.Is(err, bolterrors.ErrVersionMismatch)
}

// open opens the file, or makes one. The list of free pages is in the file: without it bbolt looks at every page here,
// and a page that makes no sense ends the process, in a goroutine where nobody can catch it.
func (d *disk) open() error {
	var db *bbolt.DB
	unsafe := planted.On(planted.Fsync)
	err := guarded(func() (err error) {
		db, err = bbolt.Open(d.path, 0o600, &bbolt.Options{Timeout: boltPatience, FreelistType: bbolt.FreelistMapType, NoSync: unsafe, NoGrowSync: unsafe})
		return err
	})
	if err != nil {
		return err
	}
	switch err := guarded(func() error { return makeBuckets(db) }); {
	case errors.Is(err, errPanic):
		return err // its locks may be held for ever, so it is left open
	case err != nil:
		return errors.Join(err, db.Close())
	}
	d.db, d.whole = db, false
	return nil
}

// makeBuckets writes nothing where there is nothing to make: a disk that is full must not keep a gateway from starting.
func makeBuckets(db *bbolt.DB) error {
	made := false
	err := db.View(func(tx *bbolt.Tx) error {
		made = tx.Bucket(metaBucket()) != nil
		return nil
	})
	if made || err != nil {
		return err
	}
	return db.Update(func(tx *bbolt.Tx) error {
		for i := range Slots {
			if _, err := tx.CreateBucketIfNotExists(slotBucket(i)); err != nil {
				return err
			}
		}
		_, err := tx.CreateBucketIfNotExists(metaBucket())
		return err
	})
}

// guarded turns a file that ends in the middle, and pages that make no sense, into an error: bbolt reads by memory map
// and panics.
func guarded(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %w: %v", errDamaged, errPanic, p)
		}
	}()
	return f()
}

// load puts what the file holds into memory. What can be read of a file that is damaged stays in memory.
func (d *disk) load() (bool, error) {
	var damage error
	err := guarded(func() error {
		return d.db.View(func(tx *bbolt.Tx) error {
			for i := range Slots {
				damage = errors.Join(damage, guarded(func() error { return d.loadSlot(i, tx.Bucket(slotBucket(i))) }))
			}
			d.whole = damage == nil && tx.Bucket(metaBucket()).Get(wholeKey()) != nil
			return nil
		})
	})
	return d.whole, errors.Join(err, damage)
}

func (d *disk) loadSlot(slot int, b *bbolt.Bucket) error {
	if b == nil {
		return fmt.Errorf("slot %d: %w: not there", slot, errDamaged)
	}
	bad := 0
	err := b.ForEach(func(k, v []byte) error {
		if !d.loadEntry(slot, k, v) {
			bad++
		}
		return nil
	})
	if bad > 0 {
		return fmt.Errorf("slot %d: %w: %d records", slot, errDamaged, bad)
	}
	return err
}

func (d *disk) loadEntry(slot int, name, v []byte) bool {
	promised, until, r, err := decodeEntry(v, 64<<20)
	if err != nil || len(name) < 2 {
		return false
	}
	k := Key{Kind(name[0]), string(name[1:])}
	if slotOf(k) != slot || r != nil && r.Key != k {
		return false
	}
	e := &entry{promised: promised, promisedUntil: until}
	if r != nil {
		r.ID = k.ID
		e.rec, e.sum, e.before = *r, r.mark().sum, r.mark()
		d.s.bytes.Add(int64(len(r.Contents)))
	}
	d.s.slots[slot].entries[k] = e
	d.s.counted(nothing, e.weighs())
	return true
}

// quarantine sets the file aside and begins another, into which everything that is in memory is written. Who looks at
// the old one must know that it may not be what was written.
func (d *disk) quarantine(cause error) {
	if d.db != nil && !errors.Is(cause, errPanic) {
		_ = d.db.Close() // it is no good
	}
	d.db = nil
	cause = atomicfile.SetAside(d.path, time.Now(), cause)
	d.s.log.Error("replica: the file of copies is damaged", "cause", cause.Error())
	d.s.event(EventQuarantined, d.s.cfg.Gateway, "the file of copies is damaged; what is missing is fetched from other gateways")
	if err := d.open(); err != nil {
		d.s.log.Error("replica: no new file of copies", "cause", err.Error())
	}
	d.dirtyAll()
}

func (d *disk) dirtyAll() {
	for i := range d.s.slots {
		sl := &d.s.slots[i]
		sl.mu.Lock()
		d.mark(sl)
		sl.mu.Unlock()
	}
	d.nudge()
}

func (d *disk) close() error {
	if d.db == nil {
		return nil
	}
	return guarded(d.db.Close)
}
