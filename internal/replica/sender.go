package replica

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// Bounds of what is sent to one gateway.
const (
	batchBytes = 256 << 10 // of one request; a record that is larger goes alone
	batchMost  = 1024      // records of one request
	flights    = 4         // requests under way
	firstPause = 50 * time.Millisecond
	longPause  = 5 * time.Second
)

// sender brings records to one gateway. It holds names only: what it sends is what the record is by then, so a newer
// state takes the place of one that waits.
type sender struct {
	s    *Store
	to   string
	wake chan struct{}
	ctx  context.Context
	end  context.CancelFunc

	mu       sync.Mutex
	queue    queue
	flying   int
	up       bool
	failures int // in a row
	failed   bool
	ahead    bool // its clock, as the log was told
	again    time.Time

	// What is refused there waits apart: one record that has no room must not hold up the others.
	refused  map[Key]struct{} // until it is taken
	apart    map[Key]struct{} // of those, what is not sent again yet
	due      time.Time
	refusals int  // in a row
	refusing bool // so often that it was told

	idle int64 // when nothing waited or was under way, the last time that somebody looked
}

// batch is one request.
type batch struct {
	keys    []Key
	marks   []mark
	body    []byte
	cut     int64
	timeout time.Duration
	retries int
}

func newSender(s *Store, to string) *sender {
	x := &sender{s: s, to: to, wake: make(chan struct{}, 1), queue: newQueue(), refused: map[Key]struct{}{}, apart: map[Key]struct{}{}}
	x.ctx, x.end = context.WithCancel(s.ctx)
	return x
}

func (x *sender) nudge() {
	select {
	case x.wake <- struct{}{}:
	default:
	}
}

func (x *sender) add(keys ...Key) {
	x.mu.Lock()
	for _, k := range keys {
		x.queue.add(k)
	}
	x.mu.Unlock()
	x.nudge()
}

// setUp says whether the gateway can be reached. It returns what waits for one that cannot: others must have it.
func (x *sender) setUp(up bool) []Key {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.up != up {
		x.up, x.again, x.failures, x.failed = up, time.Time{}, 0, false
		x.nudge()
	}
	if up {
		return nil
	}
	left := slices.AppendSeq(x.queue.waiting(), maps.Keys(x.apart))
	x.queue, x.refusals, x.refusing = newQueue(), 0, false
	clear(x.refused)
	clear(x.apart)
	return left
}

// load reports how many records wait or are under way, if the gateway can be reached.
func (x *sender) load() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.up {
		return 0
	}
	return x.queue.len() + len(x.apart) + x.flying
}

// goes reports how copying there goes: whether it fails, and how many records are refused.
func (x *sender) goes() (failed bool, refused int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.failed, len(x.refused)
}

func (x *sender) run() {
	for {
		ready, pause := x.next()
		switch {
		case !ready:
			if !x.sleep(pause) {
				return
			}
		default:
			if b := x.fill(); len(b.keys) > 0 {
				x.s.wg.Go(func() { x.carry(b) })
			} else {
				x.landed()
			}
		}
	}
}

// next takes a flight if there is something to send now. Else it says after what time to look again; 0: when nudged.
func (x *sender) next() (bool, time.Duration) {
	x.mu.Lock()
	defer x.mu.Unlock()
	most := flights
	if x.failures > 0 {
		most = 1 // one that only tries
	}
	pause := x.rejoin()
	switch {
	case !x.up || x.flying >= most:
		return false, 0
	case x.queue.len() == 0:
		return false, pause
	}
	if pause := time.Until(x.again); pause > 0 {
		return false, pause
	}
	x.flying++
	return true, 0
}

// rejoin has what was refused sent again once it is time; else it says how long that is, 0: nothing was. x.mu is held.
func (x *sender) rejoin() time.Duration {
	if len(x.apart) == 0 {
		return 0
	}
	if pause := time.Until(x.due); pause > 0 {
		return pause
	}
	for k := range x.apart {
		x.queue.add(k)
	}
	clear(x.apart)
	return 0
}

func (x *sender) landed() {
	x.mu.Lock()
	x.flying--
	x.rested()
	x.mu.Unlock()
	x.nudge()
}

// fill takes from the queue what one request carries.
func (x *sender) fill() batch {
	b := batch{cut: x.s.lagged.now()}
	for len(b.keys) < batchMost {
		k, ok := x.take()
		if !ok {
			break
		}
		before := len(b.body)
		r, m, held := x.s.state(k)
		if held {
			b.body = appendText(b.body, appendRecord(nil, &r))
		}
		if len(b.body) > batchBytes && len(b.keys) > 0 {
			b.body = b.body[:before]
			x.untake(k)
			break
		}
		if held {
			plan := x.s.cfg.planOf(r.Service)
			b.keys, b.marks = append(b.keys, k), append(b.marks, m)
			b.timeout, b.retries = max(b.timeout, plan.Timeout), max(b.retries, plan.Retries)
		} else {
			x.pardon(k)
		}
	}
	return b
}

func (x *sender) sleep(pause time.Duration) bool {
	var due <-chan time.Time
	if pause > 0 {
		t := time.NewTimer(pause)
		defer t.Stop()
		due = t.C
	}
	select {
	case <-x.wake:
	case <-due:
	case <-x.ctx.Done():
		return false
	}
	return true
}

func (x *sender) take() (Key, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.queue.take()
}

func (x *sender) untake(k Key) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.queue.untake(k)
}
