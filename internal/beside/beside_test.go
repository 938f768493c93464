package beside

import (
	"context"
	"testing"
)

// ended is a test whose end is called for.
type ended struct {
	cleanup func()
	errors  []any
}

func (t *ended) Cleanup(f func()) { t.cleanup = f }

func (t *ended) Error(args ...any) { t.errors = append(t.errors, args...) }

func TestRun(t *testing.T) {
	var good, bad ended
	Run(&good, func(ctx context.Context) error { <-ctx.Done(); return nil })
	Run(&bad, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	good.cleanup()
	bad.cleanup()
	if len(good.errors) != 0 || len(bad.errors) != 1 || bad.errors[0] != context.Canceled {
		t.Errorf("%v, %v", good.errors, bad.errors)
	}
}
