package keeper

import (
	"context"

	"github.com/quorate/quorate/internal/replica"
)

// hinting is a Committed that may know from nearby what it has, as it was some time ago.
type hinting interface {
	Hint(ctx context.Context, k replica.Key) (replica.Record, bool)
}

// glance asks whether there is a session to be claimed. Where an old answer says that there is, that will do: whether it
// may be claimed is the control group's to say, and what is in it is asked again, of the holders, under the claim's
// ballot. That there is none, or that it is deleted, only the holders can say.
func (k *Keeper) glance(ctx context.Context, r replica.Record) (answers, error) {
	h, ok := k.cfg.Committed(r.Service).(hinting)
	if !ok {
		return k.gather(ctx, r)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type said struct {
		answers
		err error
	}
	hint, holders := make(chan answers, 1), make(chan said, 1)
	go func() {
		old, found := h.Hint(ctx, r.Key)
		hint <- answers{newest: old, found: found && old.Service == r.Service}
	}()
	go func() {
		a, err := k.gather(ctx, r)
		holders <- said{a, err}
	}()
	select {
	case a := <-hint:
		if a.held() == live {
			k.figures.hinted.Add(1)
			return a, nil
		}
		s := <-holders
		return s.answers, s.err
	case s := <-holders:
		return s.answers, s.err
	}
}
