package config

import (
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// recheck is how often the files behind a reloaded value are looked at, when it is used at all.
const recheck = time.Second

// reloaded is a value read from files and read again, by whoever uses it next, after they changed.
// It has no goroutine; at most one user at a time looks at the files and nobody waits for it.
type reloaded[T any] struct {
	load  func() (T, error)
	files []string
	value atomic.Pointer[T]
	bad   atomic.Pointer[error] // why the files as they are now are not used; nil: they are
	next  atomic.Int64          // Unix nanoseconds of the next look
	mu    sync.Mutex            // held while looking
	seen  []stamp
}

func newReloaded[T any](load func() (T, error), files ...string) (*reloaded[T], error) {
	r := &reloaded[T]{load: load, files: files, seen: stamps(files)}
	v, err := load()
	if err != nil {
		return nil, err
	}
	r.value.Store(&v)
	r.next.Store(time.Now().Add(recheck).UnixNano())
	return r, nil
}

func (r *reloaded[T]) get() T {
	if time.Now().UnixNano() >= r.next.Load() && r.mu.TryLock() {
		r.look()
		r.mu.Unlock()
	}
	return *r.value.Load()
}

// look reads the files when they changed. While they are bad the old value stays and the next
// look tries again.
func (r *reloaded[T]) look() {
	r.next.Store(time.Now().Add(recheck).UnixNano())
	now := stamps(r.files)
	if same(now, r.seen) {
		r.bad.Store(nil)
		return
	}
	v, err := r.load()
	if err != nil {
		r.bad.Store(&err)
		return
	}
	r.bad.Store(nil)
	r.value.Store(&v)
	r.seen = now
}

// problem returns why the files as they are now are not used.
func (r *reloaded[T]) problem() error {
	r.get()
	if err := r.bad.Load(); err != nil {
		return *err
	}
	return nil
}

// stamp tells two states of a file apart without reading it.
type stamp struct {
	info os.FileInfo // nil when there is no such file
	at   time.Time   // when it was taken
}

func stamps(files []string) []stamp {
	list := make([]stamp, len(files))
	for i, name := range files {
		list[i] = stampOf(name)
	}
	return list
}

// stampOf follows symbolic links, so a swapped link (a Kubernetes ConfigMap) is a change.
func stampOf(name string) stamp {
	info, err := os.Stat(name)
	if err != nil {
		info = nil
	}
	return stamp{info, time.Now()}
}

// settled is how old a modification must be before an equal stamp proves equal contents: clocks of
// file systems are coarse, so two writes in one tick look the same.
const settled = 2 * time.Second

func same(a, b []stamp) bool {
	for i := range a {
		if !a[i].same(b[i]) {
			return false
		}
	}
	return true
}

// same reports whether the file is surely unchanged between the earlier stamp old and s.
func (s stamp) same(old stamp) bool {
	if s.info == nil || old.info == nil {
		return s.info == nil && old.info == nil
	}
	return os.SameFile(s.info, old.info) && s.info.Size() == old.info.Size() &&
		s.info.ModTime().Equal(old.info.ModTime()) && old.at.Sub(old.info.ModTime()) > settled
}
