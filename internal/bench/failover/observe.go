package failover

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Snapshot is the state of a run while it goes on.
type Snapshot struct {
	Elapsed                    time.Duration
	Calls, Once, Lost, Unknown int64
	Faults                     int // done so far
	Gaps                       int // of them, whose gap has ended
	LastGap, LongestGap        time.Duration
	SessionsLost, Updates      int64
	Counters                   Counters
	Event                      string // the last fault
	Nodes                      []NodeSnapshot
	CallsPerSecond             float64
}

// NodeSnapshot is one node as the killer sees it.
type NodeSnapshot struct {
	ID, Era  string
	InFlight int64
}

// eventLog is what the killer tells the observer.
type eventLog struct {
	mu            sync.Mutex
	text          string
	faults, gaps  int
	last, longest time.Duration
}

func (e *eventLog) set(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.faults++
	e.text = fmt.Sprintf(format, args...)
}

func (e *eventLog) gap(d time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.gaps++
	e.last, e.longest = d, max(e.longest, d)
}

// observe hands out snapshots until ctx ends.
func (r *run) observe(ctx context.Context) {
	if r.cfg.Observe == nil {
		return
	}
	tick := time.NewTicker(r.cfg.Every)
	defer tick.Stop()
	var calls int64
	at := time.Now()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		s := r.snapshot(ctx)
		s.CallsPerSecond = float64(s.Calls-calls) / time.Since(at).Seconds()
		calls, at = s.Calls, time.Now()
		r.cfg.Observe(s)
	}
}

func (r *run) snapshot(ctx context.Context) Snapshot {
	s := Snapshot{
		Elapsed: time.Since(r.rec.began), Calls: r.rec.calls.Load(), Once: r.rec.onceCalls.Load(),
		Lost: r.rec.lost.Load(), Unknown: r.rec.unknown.Load(), SessionsLost: r.rec.sessions.Load(),
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if c, err := r.cfg.Front.Counters(ctx); err == nil { // a frame without new figures shows the last ones
		r.counters = c
	}
	s.Counters = r.counters
	for _, n := range r.pool.Nodes() {
		s.Nodes = append(s.Nodes, NodeSnapshot{ID: n.ID, Era: n.Era, InFlight: n.InFlight()})
	}
	for _, a := range r.agents {
		if sdk, ok := a.caller.(*sdkAgent); ok {
			s.Updates += sdk.updates.Load()
		}
	}
	r.event.mu.Lock()
	defer r.event.mu.Unlock()
	s.Event, s.Faults, s.Gaps = r.event.text, r.event.faults, r.event.gaps
	s.LastGap, s.LongestGap = r.event.last, r.event.longest
	return s
}
