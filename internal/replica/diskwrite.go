package replica

import (
	"fmt"

	"go.etcd.io/bbolt"
)

// mark has all of a slot written.
func (d *disk) mark(sl *slot) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for k := range sl.entries {
		d.dirty[k] = struct{}{}
	}
}

// round writes everything that is dirty. What could not be written stays dirty.
func (d *disk) round() error {
	d.mu.Lock()
	dirty := d.dirty
	d.dirty, d.hurry, d.extra = map[Key]struct{}{}, false, false
	d.begun++
	d.mu.Unlock()
	err := d.write(dirty)
	d.judge(err)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.extra = true
		for k := range dirty {
			d.dirty[k] = struct{}{}
		}
		err = fmt.Errorf("replica: %w: %w", ErrDisk, err)
	}
	d.done, d.err = d.begun, err
	close(d.changed)
	d.changed = make(chan struct{})
	return err
}

// write writes in transactions of a bounded size, each with one fsync.
func (d *disk) write(dirty map[Key]struct{}) error {
	if d.db == nil {
		if err := d.open(); err != nil {
			return err
		}
	}
	keys := make([]Key, 0, min(len(dirty), chunkKeys))
	for k := range dirty {
		if keys = append(keys, k); len(keys) == chunkKeys {
			if err := d.chunk(keys, dirty); err != nil {
				return err
			}
			keys = keys[:0]
		}
	}
	if err := d.chunk(keys, dirty); err != nil {
		return err
	}
	return d.remark()
}

func (d *disk) chunk(keys []Key, dirty map[Key]struct{}) error {
	for len(keys) > 0 {
		n := 0
		err := guarded(func() error {
			return d.db.Update(func(tx *bbolt.Tx) (err error) {
				n, err = d.writeSome(tx, keys)
				return err
			})
		})
		if err != nil {
			return err
		}
		for _, k := range keys[:n] {
			delete(dirty, k)
		}
		keys = keys[n:]
	}
	return nil
}

// writeSome writes keys until there is enough for one transaction, and reports how many.
func (d *disk) writeSome(tx *bbolt.Tx, keys []Key) (int, error) {
	size := 0
	for i, k := range keys {
		if size >= chunkBytes {
			return i, nil
		}
		b, v := tx.Bucket(slotBucket(slotOf(k))), d.s.image(k)
		if v == nil {
			if err := b.Delete(diskKey(k)); err != nil {
				return i, err
			}
			continue
		}
		if err := b.Put(diskKey(k), v); err != nil {
			return i, err
		}
		size += len(v)
	}
	return len(keys), nil
}

// image is what is kept of a record; nil: it is gone.
func (s *Store) image(k Key) []byte {
	sl := s.slot(k)
	sl.mu.Lock()
	defer sl.mu.Unlock()
	e := sl.entries[k]
	if e == nil {
		return nil
	}
	if !e.held() {
		return encodeEntry(nil, e.promised, e.promisedUntil, nil)
	}
	r := e.rec
	return encodeEntry(make([]byte, 0, len(r.Contents)+len(r.ID)+128), e.promised, e.promisedUntil, &r)
}

// remark says in the file that the store has caught up, once it has: a file without it says nothing of what is missing.
func (d *disk) remark() error {
	if d.whole || !d.s.caughtUp.Load() {
		return nil
	}
	err := guarded(func() error {
		return d.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(metaBucket()).Put(wholeKey(), []byte{1}) })
	})
	d.whole = err == nil
	return err
}

// judge draws the consequences of a round: no room is a state that passes, any other error means that the file may not be
// what was written.
func (d *disk) judge(err error) {
	switch {
	case err == nil && d.full.Swap(false):
		d.s.event(EventDiskBack, d.s.cfg.Gateway, "what is kept can be written to the disk again")
	case err == nil:
	case isFull(err):
		d.setFull()
	case d.db != nil || isDamage(err):
		d.quarantine(err)
	}
}

func (d *disk) setFull() {
	if !d.full.Swap(true) {
		d.s.event(EventDiskFull, d.s.cfg.Gateway, "what is kept cannot be written to the disk; changes are refused")
		d.s.log.Error("replica: the disk is full; changes are refused")
	}
}
