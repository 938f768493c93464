package host

import (
	"errors"
	"runtime"
	"sync"
)

// launcher forks from one thread that lives as long as it: the kernel sends the parent-death signal when the forking
// thread ends, not when the process does, and Go ends threads as it likes.
type launcher struct {
	jobs chan func()
	end  chan struct{}
	once sync.Once
}

var errClosed = errors.New("host: closed")

func newLauncher() *launcher {
	l := &launcher{jobs: make(chan func()), end: make(chan struct{})}
	go func() {
		runtime.LockOSThread() // and never unlocked, so that the thread is nobody else's
		for {
			select {
			case f := <-l.jobs:
				f()
			case <-l.end:
				return
			}
		}
	}()
	return l
}

// run calls f on the thread.
func (l *launcher) run(f func() error) error {
	result := make(chan error, 1)
	select {
	case l.jobs <- func() { result <- f() }:
		return <-result
	case <-l.end:
		return errClosed
	}
}

// close ends the thread, and with it whatever was started there.
func (l *launcher) close() { l.once.Do(func() { close(l.end) }) }
