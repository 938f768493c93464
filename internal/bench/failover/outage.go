package failover

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// Outage measures the gap of one fault: from its moment to the answer of the last agent's first safe
// call that was sent after it. A call that was already under way on another node does not count: it
// says nothing about the fault. Every agent sends that call as soon as it can.
type Outage struct {
	at   time.Time
	done chan struct{} // closed when every agent has its answer

	mu      sync.Mutex
	seen    []bool
	left    int
	gap     time.Duration
	last    string          // how the agent that ended the gap came to it
	slowest time.Duration   // of an agent's later safe calls
	met     []bool          // agents whose request has met the fault
	waits   []time.Duration // of those requests
}

func newOutage(at time.Time, agents int) *Outage {
	return &Outage{at: at, done: make(chan struct{}), seen: make([]bool, agents), met: make([]bool, agents), left: agents}
}

func (o *Outage) answer(a *agent, sent, got time.Time) {
	if got.Before(o.at) {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.met[a.index] {
		o.met[a.index] = true
		o.waits = append(o.waits, min(got.Sub(sent), got.Sub(o.at)))
	}
	if sent.Before(o.at) {
		return
	}
	if o.seen[a.index] {
		o.slowest = max(o.slowest, got.Sub(sent))
		return
	}
	o.seen[a.index] = true
	if gap := got.Sub(o.at); gap > o.gap {
		o.gap = gap
		o.last = fmt.Sprintf("%s: its call under way, %s, ended after %v; its next one was sent at %v and answered at %v",
			a.name, a.previous, a.previousEnd.Sub(o.at), sent.Sub(o.at), gap)
	}
	if o.left--; o.left == 0 {
		close(o.done)
	}
}

// Gap returns the gap; one that has not ended is as long as it lasted until now.
func (o *Outage) Gap(now time.Time) time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.left > 0 {
		return now.Sub(o.at)
	}
	return o.gap
}

// Wait returns the longest time that an agent waited for a safe answer: the gap, or a later safe call.
func (o *Outage) Wait(now time.Time) time.Duration {
	gap := o.Gap(now)
	o.mu.Lock()
	defer o.mu.Unlock()
	return max(gap, o.slowest)
}

// Requests returns how long the request of each agent that met the fault waited for its answer since, shortest
// first: the safe one that was under way when it happened, or the first safe one sent after it.
func (o *Outage) Requests() []time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	waits := slices.Clone(o.waits)
	slices.Sort(waits)
	return waits
}

// Story says who had the gap and how.
func (o *Outage) Story() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.last
}
