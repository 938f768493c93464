// Package beside runs something beside a test, or serves it, for as long as the test goes on. It must not know what that
// is.
package beside

import "context"

// T is the test, a *testing.T as a rule.
type T interface {
	Cleanup(func())
	Error(args ...any)
}

// Run runs until the test ends, and has ended then. An error that it returns is the test's.
func Run(t T, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
