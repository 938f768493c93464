package beside

import (
	"context"
	"slices"
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
	if !slices.Equal(good.errors, nil) || !slices.Equal(bad.errors, []any{context.Canceled}) {
		t.Errorf("%v, %v", good.errors, bad.errors)
	}
}
