package replica

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
)

// Bounds of what is written.
const (
	gather     = 50 * time.Millisecond // what comes together is written together
	chunkKeys  = 4096                  // of one transaction
	chunkBytes = 8 << 20               // of one transaction
	retryDisk  = time.Second
)

// disk writes what is in memory to one file, behind it. run is its one writer.
type disk struct {
	s    *Store
	path string
	full atomic.Bool
	wake chan struct{}

	mu      sync.Mutex
	dirty   map[Key]struct{}
	begun   uint64 // rounds of writing
	done    uint64
	extra   bool // something other than records is to be written
	hurry   bool
	err     error         // of the last round
	changed chan struct{} // closed when a round ends

	// run's alone.
	db    *bbolt.DB // nil: the file cannot be opened now
	whole bool      // the file says that the store has caught up
}

// dirty has a record written.
func (s *Store) dirty(k Key) {
	if s.disk == nil {
		return
	}
	s.disk.mu.Lock()
	s.disk.dirty[k] = struct{}{}
	s.disk.mu.Unlock()
	s.disk.nudge()
}

// touch has a round made although no record has changed.
func (d *disk) touch() {
	d.mu.Lock()
	d.extra = true
	d.mu.Unlock()
	d.nudge()
}

func (d *disk) nudge() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// FlushLocal waits until what is in memory is on the disk, or says that it cannot be written: ErrDisk. Without a
// directory there is nothing to wait for.
func (s *Store) FlushLocal(ctx context.Context) error {
	d := s.disk
	if d == nil {
		return nil
	}
	d.mu.Lock()
	target := d.begun
	if len(d.dirty) > 0 {
		target++
		d.hurry = true
	}
	d.mu.Unlock()
	d.nudge()
	for {
		d.mu.Lock()
		done, err, changed := d.done, d.err, d.changed
		d.mu.Unlock()
		if done >= target {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("replica: flush: %w: %w", ErrDisk, ctx.Err())
		case <-s.ctx.Done():
			return fmt.Errorf("replica: flush: %w", ErrClosed)
		}
	}
}

func (d *disk) run() {
	for {
		d.mu.Lock()
		work, hurry := len(d.dirty) > 0 || d.extra, d.hurry
		d.mu.Unlock()
		switch {
		case !work && !d.pause(0):
			return
		case !work:
		case !hurry && !d.pause(gather):
			return
		default:
			if err := d.round(); err != nil && !d.pause(retryDisk) {
				return
			}
		}
	}
}

// pause waits for a time, or for work. It is cut short by whoever cannot wait.
func (d *disk) pause(wait time.Duration) bool {
	var due <-chan time.Time
	if wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		due = t.C
	}
	for {
		select {
		case <-due:
			return true
		case <-d.s.ctx.Done():
			return false
		case <-d.wake:
			d.mu.Lock()
			hurry := d.hurry
			d.mu.Unlock()
			if hurry || wait == 0 {
				return true
			}
		}
	}
}
