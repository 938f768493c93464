package keeper

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/quorate/quorate/internal/replica"
)

// Compared is what one gateway found when it compared its copies with those of the others.
type Compared struct {
	Gateway string
	Records int // there
	Differ  []Difference
	Silent  []string // whom it could not compare with
	Problem string   // why it did not compare at all; "" for none
}

// Difference is what the copies of two gateways differ in.
type Difference struct {
	With    string
	Slots   int // of 256
	Missing int // records that are missing or older at the gateway that compared
	Ahead   int // records that are missing or older at the other
}

// Same reports whether nothing differs and nobody was silent.
func (c *Compared) Same() bool { return c.Problem == "" && len(c.Silent) == 0 && len(c.Differ) == 0 }

// Compare has every gateway compare its copies of sessions with the others', and repair them if it is to. A gateway that
// has gone is not asked: its copies are made anew.
func (k *Keeper) Compare(ctx context.Context, repair bool) []Compared {
	what := "verify"
	if repair {
		what = "reconcile"
	}
	carriers := k.cfg.Authority.Carriers()
	all := make([]Compared, len(carriers))
	var asked sync.WaitGroup
	for i, l := range carriers {
		asked.Go(func() {
			if l.Gateway == k.cfg.Gateway {
				all[i] = k.compareHere(ctx, repair)
				return
			}
			if err := k.question(ctx, l.Gateway, what, struct{}{}, &all[i]); err != nil {
				all[i] = Compared{Problem: err.Error()}
			}
			all[i].Gateway = l.Gateway
		})
	}
	asked.Wait()
	slices.SortFunc(all, func(a, b Compared) int { return strings.Compare(a.Gateway, b.Gateway) })
	return all
}

// Comparer is a Store that can compare its copies with others'.
type Comparer interface {
	Verify(ctx context.Context) (replica.Report, error)
	Reconcile(ctx context.Context) (replica.Report, error)
}

func (k *Keeper) compareHere(ctx context.Context, repair bool) Compared {
	out := Compared{Gateway: k.cfg.Gateway}
	store, ok := k.cfg.Store.(Comparer)
	if !ok {
		return out
	}
	run := store.Verify
	if repair {
		run = store.Reconcile
	}
	r, err := run(ctx)
	out.Records, out.Silent = r.Records, r.Silent
	if err != nil && len(r.Silent) == 0 {
		out.Problem = err.Error()
	}
	for _, d := range r.Differences {
		if d.Slots > 0 {
			out.Differ = append(out.Differ, Difference{With: d.Gateway, Slots: d.Slots, Missing: d.Here, Ahead: d.There})
		}
	}
	return out
}
