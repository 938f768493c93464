package edge

import (
	"context"
	"strconv"
	"strings"

	"github.com/quorate/quorate/internal/keeper"
	"github.com/quorate/quorate/internal/replica"
	"github.com/quorate/quorate/strategies"
)

// former is the store of the strategy that a service had before, as the keeper asks it.
type former struct{ inStore }

// former returns it, nil where there is none.
func (e *Edge) former(service string) keeper.Former {
	k := e.sessions
	if _, err := k.plans.former(service); err != nil {
		return nil
	}
	return former{inStore{service, k.plans, k.store, k.plans.former}}
}

// Each implements keeper.Former.
func (f former) Each(ctx context.Context, each func(replica.Key) error) error {
	store, err := f.store(f.service)
	if err != nil {
		return err
	}
	return storeError(store.List(ctx, func(h strategies.Head) error {
		key, ok := keyOf(h.Key)
		if !ok || h.Deleted || h.Service != f.service {
			return nil
		}
		return each(key)
	}))
}

// Left implements keeper.Former.
func (f former) Left() { f.plans.planner.Left(f.service) }

// keyOf is the record's key of one in a store: see storeKey.
func keyOf(text string) (replica.Key, bool) {
	kind, id, ok := strings.Cut(text, "/")
	n, err := strconv.ParseUint(kind, 10, 8)
	return replica.Key{Kind: replica.Kind(n), ID: id}, ok && err == nil
}
