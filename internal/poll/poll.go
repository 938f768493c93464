// Package poll looks, for tests, until what no channel tells has come about: in another process, in the kernel or in
// somebody else's goroutine. It must not know what that is.
package poll

import (
	"fmt"
	"time"
)

// T is what a test waits with, a *testing.T as a rule.
type T interface {
	Helper()
	Fatal(args ...any)
}

// For looks at once, then every so often until ok holds, and a last time when the bound is over. Then it returns an error
// that says what did not come about.
func For(every, bound time.Duration, what string, ok func() bool) error {
	tick, end := time.NewTicker(every), time.NewTimer(bound)
	defer tick.Stop()
	defer end.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-end.C:
			if ok() {
				return nil
			}
			return fmt.Errorf("poll: not within %s: %s", bound, what)
		}
	}
	return nil
}

// True waits as For does, ends the test when it was in vain, and returns how long it took.
func True(t T, every, bound time.Duration, what string, ok func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	if err := For(every, bound, what, ok); err != nil {
		t.Fatal(err)
	}
	return time.Since(began)
}

// Nil waits until ok returns no error, and ends the test with the last one when it was in vain.
func Nil(t T, every, bound time.Duration, ok func() error) {
	t.Helper()
	var last error
	if err := For(every, bound, "", func() bool { last = ok(); return last == nil }); err != nil {
		t.Fatal(err, last)
	}
}
