package replica

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"
)

// Why a gateway does not take a state.
const (
	whyStale    = "stale"    // it has a newer one
	whyPromised = "promised" // it promised to refuse the ballot
	whyFull     = "full"
	whyLarge    = "large"
	whyDisk     = "disk"
	whyOver     = "over" // the record's lifetime is over there
)

// refusal says why a state of a batch was not taken, and what is there.
type refusal struct {
	At       int    `json:"at"` // in the batch
	Why      string `json:"why"`
	Ballot   uint64 `json:"ballot"`
	Version  uint64 `json:"version"`
	Deleted  bool   `json:"deleted,omitempty"`
	Sum      uint32 `json:"sum,omitempty"`
	Promised uint64 `json:"promised,omitempty"`
}

func (f *refusal) mark() mark { return mark{f.Ballot, f.Deleted, f.Version, f.Sum} }

type refusals struct {
	Refused []refusal `json:"refused,omitempty"`
}

// carry sends one batch and takes down what comes of it.
func (x *sender) carry(b batch) {
	ctx, cancel := context.WithTimeout(x.ctx, b.timeout)
	defer cancel()
	var out refusals
	answer, err := x.s.call(ctx, x.to, "push", b.body)
	if err == nil {
		err = json.Unmarshal(answer, &out)
	}
	if err != nil {
		x.fail(b, err)
		return
	}
	x.landedWell(b, out.Refused)
}

// fail puts a batch back and waits longer every time. A gateway that is away has no queue: others get the batch.
func (x *sender) fail(b batch, err error) {
	x.mu.Lock()
	x.flying--
	x.failures++
	pause := min(firstPause<<min(x.failures-1, 10), longPause)
	x.again = time.Now().Add(pause/2 + rand.N(pause/2+1))
	news := x.failures > b.retries && !x.failed
	x.failed = x.failed || news
	up := x.up
	x.mu.Unlock()
	if news && x.ctx.Err() == nil {
		x.s.event(EventCopyFailed, x.to, fmt.Sprintf("copies for %s failed %d times in a row", x.to, b.retries+1))
		x.s.log.Warn("replica: a gateway takes no copies", "gateway", x.to, "cause", err.Error())
	}
	if up {
		x.add(b.keys...)
		return
	}
	x.s.spread(b.keys)
}

func (x *sender) landedWell(b batch, refused []refusal) {
	no := map[int]*refusal{}
	for i := range refused {
		no[refused[i].At] = &refused[i]
	}
	var again []Key
	for i, k := range b.keys {
		f := no[i]
		switch {
		case f == nil:
			x.s.confirm(k, x.to, b.marks[i], b.cut)
		case f.Why == whyOver:
			x.early(k, b.marks[i], b.cut)
		case !x.settles(k, b.marks[i], f, b.cut):
			again = append(again, k)
			continue
		}
		x.pardon(k)
	}
	x.after(again, b.retries)
}

// settles reports whether a refusal is the end of it: the gateway has what was sent or better, or will never take it.
func (x *sender) settles(k Key, m mark, f *refusal, cut int64) bool {
	switch f.Why {
	case whyStale, whyPromised:
		if f.Why == whyStale && f.Ballot <= m.ballot {
			x.s.confirm(k, x.to, f.mark(), cut)
			return true
		}
		x.s.outranked(k, max(f.Ballot, f.Promised))
		if f.Ballot > m.ballot { // it is another owner's, who may have no place for it here: comparing would not show it
			x.s.want(x.to, k)
		}
	default:
		if k.Kind == Handle { // of which there may be too many
			return true
		}
		x.s.refuses(k, x.to, m, f.Why)
		return false
	}
	return true
}

// early is for a record that is over there: nothing of it need be kept any more, if it is over here too. Else the clocks
// differ, and there is no copy; comparing sends it again.
func (x *sender) early(k Key, m mark, cut int64) {
	r, _, held := x.s.state(k)
	if !held || over(r.Until, x.s.now()) {
		x.s.confirm(k, x.to, m, cut)
		return
	}
	x.mu.Lock()
	news := !x.ahead
	x.ahead = true
	x.mu.Unlock()
	if news {
		x.s.log.Warn("replica: a gateway holds records for over that are not: its clock is ahead of this one's, and it keeps no copies of them", "gateway", x.to)
	}
}

// after ends a flight: what has no room there is tried again, slowly, and apart from the rest.
func (x *sender) after(again []Key, retries int) {
	x.mu.Lock()
	x.flying--
	news := false
	if len(again) > 0 {
		for _, k := range again {
			x.refused[k], x.apart[k] = struct{}{}, struct{}{}
		}
		x.refusals++
		x.due = time.Now().Add(min(firstPause<<min(x.refusals-1, 10), longPause))
		news = x.refusals > retries && !x.refusing
		x.refusing = x.refusing || news
	}
	x.rested()
	x.mu.Unlock()
	if news {
		x.s.event(EventCopyFailed, x.to, fmt.Sprintf("%s has refused copies %d times in a row", x.to, retries+1))
	}
	x.works()
}

// pardon: the gateway has no more to say against a record.
func (x *sender) pardon(k Key) {
	x.mu.Lock()
	delete(x.refused, k)
	x.mu.Unlock()
}

// works: the gateway answers, or was seen to have all that it should. What it refuses is those records' failure alone.
func (x *sender) works() {
	x.mu.Lock()
	x.failures, x.again = 0, time.Time{}
	back := (x.failed || x.refusing) && len(x.refused) == 0
	x.failed = false
	if len(x.refused) == 0 {
		x.refusing, x.refusals = false, 0
	}
	x.mu.Unlock()
	x.nudge()
	if back {
		x.s.event(EventCopyBack, x.to, x.to+" takes copies again")
	}
}
