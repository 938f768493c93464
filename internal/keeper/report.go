package keeper

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// figures count since the process began.
type figures struct {
	claims      atomic.Uint64
	hinted      atomic.Uint64
	released    atomic.Uint64
	lost        atomic.Uint64
	unheard     atomic.Uint64
	unconfirmed atomic.Uint64
	dropped     atomic.Uint64
}

// Figures are for metrics. Counts never go back while the process lives.
type Figures struct {
	Claims      uint64 // sessions that this gateway has claimed
	Hinted      uint64 // sessions that a hint from nearby told of before their holders did
	Relays      uint64 // requests that went to an owner elsewhere
	Released    uint64 // sessions that it gave away
	Lost        uint64 // sessions of which nobody had a copy
	Unheard     uint64 // sessions that went on without everybody who may have a newer copy
	Unconfirmed uint64 // openings that were answered without a copy elsewhere
	Dropped     uint64 // sessions of its own whose changes another gateway's claim has left out
}

// Figures returns them.
func (k *Keeper) Figures() Figures {
	f := &k.figures
	return Figures{
		Claims: f.claims.Load(), Hinted: f.hinted.Load(), Relays: k.relays.total.Load(), Released: f.released.Load(), Lost: f.lost.Load(),
		Unheard: f.unheard.Load(), Unconfirmed: f.unconfirmed.Load(), Dropped: f.dropped.Load(),
	}
}

// maxReported bounds the sessions that a report names; further ones are counted.
const maxReported = 10_000

// Dropped is a session of this gateway's whose latest changes are lost: another gateway had claimed it before it heard
// of them.
type Dropped struct {
	Gateway string // that had made the changes
	Session string // its hash
	Service string
	Changes uint64    // that no other gateway had confirmed
	Deleted bool      // the last of them was its end
	Owner   string    // the gateway that has it now
	At      time.Time // when this gateway found out
}

// report is what was dropped since the process began, each session once for every ballot that it lost.
type report struct {
	mu   sync.Mutex
	seen map[reported]bool
	all  []Dropped
	more uint64
}

type reported struct {
	record string
	ballot uint64 // under which the changes were made
}

// add notes what was dropped, false if it is noted already.
func (r *report) add(of reported, d Dropped) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen[of] {
		return false
	}
	if len(r.all) >= maxReported {
		r.more++
		return true
	}
	if r.seen == nil {
		r.seen = map[reported]bool{}
	}
	r.seen[of] = true
	r.all = append(r.all, d)
	return true
}

// DroppedOf is one gateway's report.
type DroppedOf struct {
	All  []Dropped
	More uint64
}

// AllDropped gathers the reports of the gateways that can be asked.
func (k *Keeper) AllDropped(ctx context.Context) (out DroppedOf) {
	out.All, out.More = k.Dropped()
	for _, l := range k.cfg.Authority.Carriers() {
		if l.Gateway == k.cfg.Gateway || !k.up(l.Gateway) {
			continue
		}
		var one DroppedOf
		if err := k.question(ctx, l.Gateway, "dropped", struct{}{}, &one); err != nil {
			k.log.Debug("a gateway does not say what it has dropped", "gateway", l.Gateway, "cause", err.Error())
		}
		out.All, out.More = append(out.All, one.All...), out.More+one.More
	}
	return out
}

// Dropped returns the sessions whose changes were dropped since the process began, the oldest first, and how many more
// there were than it names.
func (k *Keeper) Dropped() (all []Dropped, more uint64) {
	k.report.mu.Lock()
	defer k.report.mu.Unlock()
	return append([]Dropped(nil), k.report.all...), k.report.more
}
