package keeper

import (
	"context"
	"sync"
)

// turns lets one at a time act on a record.
type turns struct {
	mu  sync.Mutex
	all map[string]*turn
}

type turn struct {
	ready chan struct{} // holds a token while nobody has the turn
	users int
}

// take waits for the turn; the function it returns ends it.
func (t *turns) take(ctx context.Context, record string) (func(), error) {
	t.mu.Lock()
	if t.all == nil {
		t.all = map[string]*turn{}
	}
	one := t.all[record]
	if one == nil {
		one = &turn{ready: make(chan struct{}, 1)}
		one.ready <- struct{}{}
		t.all[record] = one
	}
	one.users++
	t.mu.Unlock()
	leave := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if one.users--; one.users == 0 {
			delete(t.all, record)
		}
	}
	select {
	case <-one.ready:
		return func() { one.ready <- struct{}{}; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}
