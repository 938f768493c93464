package keeper

import (
	"context"

	"github.com/quorate/quorate/internal/replica"
)

// hinting is a Committed that may know sooner what it has, as it was some time ago; old says that a copy of it told, as a
// mirror nearby.
type hinting interface {
	Hint(ctx context.Context, k replica.Key) (r replica.Record, found, old bool)
}

// hintBound is for a hint; the holders are to have the rest of the time.
const hintBound = oneRound / 3

// glance asks whether there is a session to be claimed. Where an old answer says that there is, that will do: whether it
// may be claimed is the control group's to say, and what is in it is asked again, of the holders, under the claim's
// ballot. That there is none, or that it is deleted, only the holders can say, whose word is dear: a store agrees on it.
func (k *Keeper) glance(ctx context.Context, r replica.Record) (answers, error) {
	if h, ok := k.cfg.Committed(r.Service).(hinting); ok {
		a, told := k.foreseen.take(ctx, r.ID)
		if !told {
			a = k.hint(ctx, h, r)
		}
		if a.held() == live {
			return a, nil
		}
	}
	return k.gather(ctx, r)
}

func (k *Keeper) hint(ctx context.Context, h hinting, r replica.Record) answers {
	ctx, cancel := context.WithTimeout(ctx, hintBound)
	defer cancel()
	told, found, old := h.Hint(ctx, r.Key)
	if found = found && told.Service == r.Service; found && old && !told.Deleted {
		k.figures.hinted.Add(1)
	}
	told.Contents = nil // nothing rests on them, and a hint may be kept for a while
	return answers{newest: told, found: found}
}
