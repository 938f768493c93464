package keeper

import (
	"context"
	"errors"
	"testing"

	"github.com/quorate/quorate/gateway/session"
	"github.com/quorate/quorate/internal/replica"
)

// closing is a gateway whose gate may close while the control group is asked.
type closing struct {
	Authority
	Committed
	open, closes bool
	err          error
}

func (c *closing) Allow() bool { return c.open }

func (c *closing) Put(context.Context, replica.Record) error {
	if c.closes {
		c.open = false
	}
	return c.err
}

// What the control group has not agreed on is acknowledged to those alone who were told that this gateway may not
// write: also when its gate has closed since.
func TestWhoIsToldOfTheTail(t *testing.T) {
	for name, tc := range map[string]struct {
		world closing
		how   session.How
		gone  bool
		want  error
	}{
		"agreed":                       {closing{open: true}, session.Change, false, nil},
		"closed before":                {closing{}, session.Change, false, ErrNoQuorum},
		"closed before, a new session": {closing{}, session.Opening, false, ErrNoQuorum},
		"closed meanwhile":             {closing{open: true, closes: true, err: ErrNoQuorum}, session.Change, false, ErrNoQuorum},
		"closed, and told so":          {closing{}, session.Tail, false, nil},
		"closed meanwhile, told so":    {closing{open: true, closes: true, err: ErrNoQuorum}, session.Tail, false, nil},
		"open, and no quorum":          {closing{open: true, err: ErrNoQuorum}, session.Tail, false, ErrNoQuorum},
		"nobody waits":                 {closing{}, session.Aside, false, nil},
		"deleted":                      {closing{open: true}, session.Change, true, nil},
		"deleted, closed before":       {closing{}, session.Change, true, ErrNoQuorum},
		"deleted, closed meanwhile":    {closing{open: true, closes: true, err: ErrNoQuorum}, session.Change, true, ErrNoQuorum},
		"deleted, and no quorum":       {closing{open: true, err: ErrNoQuorum}, session.Change, true, ErrNoQuorum},
		"lost, and told so":            {closing{}, session.Tail, true, nil},
	} {
		k := &Keeper{cfg: Config{Authority: &tc.world}}
		k.pending.work = make(chan struct{}, 1)
		if err := k.commit(t.Context(), &tc.world, replica.Record{Deleted: tc.gone}, tc.how, tc.world.open); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
}

// A state that has no room does not take the one with it that waits since before: its agent was told that it may have
// been kept, and the next one must not be numbered as if it had never been.
func TestWhatWaitsOutlivesAStateWithoutRoom(t *testing.T) {
	for name, tc := range map[string]struct {
		err   error
		waits bool
	}{
		"full":      {replica.ErrFull, true},
		"too large": {replica.ErrTooLarge, true},
		"agreed":    {nil, false},
		"taken":     {replica.ErrStale, false},
	} {
		world := closing{open: true, err: ErrNoQuorum}
		k := &Keeper{cfg: Config{Authority: &world}}
		k.pending.work = make(chan struct{}, 1)
		first := replica.Record{Key: replica.Key{Kind: replica.Session, ID: "s"}, Version: 4}
		if err := k.commit(t.Context(), &world, first, session.Change, true); !errors.Is(err, ErrNoQuorum) {
			t.Fatal(err)
		}
		world.err = tc.err
		second := first
		second.Version = 5
		if err := k.commit(t.Context(), &world, second, session.Change, true); !errors.Is(err, tc.err) {
			t.Fatal(err)
		}
		if _, waits := k.pending.get(first.Key); waits != tc.waits {
			t.Errorf("%s: what waits since before still does: %t, want %t", name, waits, tc.waits)
		}
	}
}
