package edge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/committed"
	"github.com/quorate/quorate/internal/control"
	"github.com/quorate/quorate/internal/keeper"
	"github.com/quorate/quorate/internal/replica"
)

// inGroup are the contents that the control group keeps, as the keeper asks for them.
type inGroup struct{ *committed.Client }

func toGroup(r replica.Record) committed.Record {
	return committed.Record{
		Key: committed.Key{Kind: committed.Kind(r.Kind), ID: r.ID}, Service: r.Service, Owner: r.Owner, Ballot: r.Ballot,
		Version: r.Version, Deleted: r.Deleted, Until: r.Until, Contents: r.Contents,
	}
}

func ofGroup(r committed.Record) replica.Record {
	return replica.Record{
		Key: replica.Key{Kind: replica.Kind(r.Kind), ID: r.ID}, Service: r.Service, Owner: r.Owner, Ballot: r.Ballot,
		Version: r.Version, Deleted: r.Deleted, Until: r.Until, Contents: r.Contents,
	}
}

func groupKey(k replica.Key) committed.Key {
	return committed.Key{Kind: committed.Kind(k.Kind), ID: k.ID}
}

// Get implements keeper.Committed.
func (g inGroup) Get(k replica.Key) (replica.Record, bool) {
	r, ok := g.Client.Get(groupKey(k))
	return ofGroup(r), ok
}

// Each lists what is applied here.
func (g inGroup) Each(f func(replica.Record) bool) {
	for _, r := range g.All() {
		if !f(ofGroup(r)) {
			return
		}
	}
}

// Look implements keeper.Committed.
func (g inGroup) Look(ctx context.Context, k replica.Key) (replica.Record, bool, error) {
	r, ok, err := g.Client.Look(ctx, groupKey(k))
	return ofGroup(r), ok, keptError(err)
}

// Take implements keeper.Committed.
func (g inGroup) Take(ctx context.Context, r replica.Record) (replica.Record, bool, error) {
	now, ok, err := g.Client.Take(ctx, toGroup(r))
	return ofGroup(now), ok, keptError(err)
}

// Put implements keeper.Committed.
func (g inGroup) Put(ctx context.Context, r replica.Record) error {
	if r.Deleted {
		return keptError(g.Drop(ctx, toGroup(r)))
	}
	return keptError(g.Client.Put(ctx, toGroup(r)))
}

// keptError is an error of the group's contents in the words that the keeper branches on.
func keptError(err error) error {
	for _, c := range [...]struct{ is, becomes error }{
		{committed.ErrStale, replica.ErrStale}, {committed.ErrDeleted, replica.ErrStale}, {committed.ErrOver, replica.ErrStale},
		{committed.ErrTooLarge, replica.ErrTooLarge}, {committed.ErrFull, replica.ErrFull}, {committed.ErrBusy, replica.ErrFull},
		{committed.ErrNoQuorum, keeper.ErrNoQuorum}, {committed.ErrNotReady, keeper.ErrNoQuorum},
	} {
		if errors.Is(err, c.is) {
			return fmt.Errorf("%w: %w", c.becomes, err)
		}
	}
	return err
}

// reads is which parts every member of the group has, as it was found out last.
type reads struct {
	mu    sync.Mutex
	names []string
}

func (r *reads) have(part string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.names, part)
}

// readsEvery is how often a part is asked for that some member did not have.
const readsEvery = time.Second

// follow asks until every member has all of them.
func (r *reads) follow(ctx context.Context, node *control.Node) {
	tick := time.NewTicker(readsEvery / 10)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		var have []string
		for _, part := range ownParts() {
			if node.AllRead(ctx, part) {
				have = append(have, part)
			}
		}
		r.mu.Lock()
		r.names = have
		r.mu.Unlock()
		tick.Reset(readsEvery)
	}
}
