package retry

import (
	"fmt"
	"sync/atomic"
	"time"
)

const unit = 1000 // the balance counts thousandths of a retry

// Budget bounds the retries of one service to a share of its calls. Methods are lock-free and may be
// called concurrently.
//
// It is a balance: every call deposits Ratio of a retry, every retry takes a whole one, and Min of
// them are deposited per second whatever the traffic, so that a quiet service can still retry. The
// balance is kept from growing over max(Min, Ratio × active calls). So n calls make at most
// (1+Ratio)·n attempts, plus Min and Min per second. (Envoy bounds concurrent retries by concurrent
// calls instead; retries that fail faster than calls then exceed the ratio.)
//
// A node that dies takes all of its calls with it at one moment, which is no overload: its work is
// gone. For those the balance may go into debt by as much as one retry per active call. The debt is
// paid from later deposits, so the ratio holds in the long run.
type Budget struct {
	ratio   int64 // thousandths per call
	min     int64 // retries
	active  atomic.Int64
	balance atomic.Int64 // thousandths
	filled  atomic.Int64 // Unix nanoseconds up to which Min per second is deposited
}

// NewBudget returns a budget with a balance of min. ratio is 0 to 1 (default in configuration 0.2),
// min 0 to 1000 (default 3); both 0 means no retries at all of what a node may have seen.
func NewBudget(ratio float64, min int) (*Budget, error) {
	if !(ratio >= 0 && ratio <= 1) {
		return nil, fmt.Errorf("retry: budget ratio %v is outside 0..1", ratio)
	}
	if min < 0 || min > 1000 {
		return nil, fmt.Errorf("retry: budget minimum %d is outside 0..1000", min)
	}
	b := &Budget{ratio: int64(ratio * unit), min: int64(min)}
	b.balance.Store(b.min * unit)
	return b, nil
}

// Begin counts a call (not an attempt) as active and deposits its share. End must follow.
func (b *Budget) Begin() { b.deposit(b.ratio, b.active.Add(1)) }

// End counts the call as ended.
func (b *Budget) End() { b.active.Add(-1) }

// Active returns the number of calls between Begin and End.
func (b *Budget) Active() int64 { return b.active.Load() }

// Take takes one retry and reports whether it was there. lost says that the call lost its node (its
// connection broke or the node was declared dead), as against an answer that says no.
func (b *Budget) Take(now time.Time, lost bool) bool {
	if b.ratio == 0 && b.min == 0 {
		return false
	}
	active := b.active.Load()
	b.refill(now.UnixNano(), active)
	floor := int64(0)
	if lost {
		floor = -max(b.min, active) * unit
	}
	for {
		old := b.balance.Load()
		if old-unit < floor {
			return false
		}
		if b.balance.CompareAndSwap(old, old-unit) {
			return true
		}
	}
}

// refill deposits min per second passed. The first call only starts the clock.
func (b *Budget) refill(now, active int64) {
	last := b.filled.Load()
	if last == 0 {
		b.filled.CompareAndSwap(0, now)
		return
	}
	passed := min(now-last, int64(time.Second)) // no more than one second's worth is ever saved up
	due := passed * b.min * unit / int64(time.Second)
	if due <= 0 || !b.filled.CompareAndSwap(last, now) {
		return // too early, or another caller deposits it
	}
	b.deposit(due, active)
}

func (b *Budget) deposit(amount, active int64) {
	limit := max(b.min*unit, b.ratio*active)
	for {
		old := b.balance.Load()
		if old >= limit { // the usual case: a healthy service's balance is full
			return
		}
		if b.balance.CompareAndSwap(old, min(limit, old+amount)) {
			return
		}
	}
}
