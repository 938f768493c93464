package breaker

import (
	"errors"
	"time"

	"github.com/sony/gobreaker/v2"
)

// probe is a call let through while half open.
type probe struct {
	epoch    *epoch
	started  time.Time
	report   func(error)
	released bool // its place was given to another
}

// allowProbe is the way in while open or half open.
func (b *Breaker) allowProbe() (func(Outcome), error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	report, err := b.cb.Allow()
	if errors.Is(err, gobreaker.ErrTooManyRequests) && b.releaseOverdue(time.Now()) {
		report, err = b.cb.Allow()
	}
	if err != nil {
		return nil, ErrOpen
	}
	e := b.now.Load()
	if e.state == gobreaker.StateClosed { // a probe closed it meanwhile
		report(errIgnored)
		return e.done, nil
	}
	p := &probe{epoch: e, started: time.Now(), report: report}
	b.forget(func(q *probe) bool { return q.epoch != e || q.released })
	b.probes = append(b.probes, p)
	return func(o Outcome) { b.probed(p, o) }, nil
}

// releaseOverdue gives up the places of probes past their deadline and reports whether there were
// any. Overdue is no verdict: the call may just be slow, and its own report still counts when it comes.
func (b *Breaker) releaseOverdue(now time.Time) bool {
	any := false
	for _, p := range b.probes {
		if !p.released && now.Sub(p.started) >= b.deadline {
			p.released, any = true, true
			p.report(errIgnored)
		}
	}
	return any
}

// probed takes a probe's report. gobreaker drops it by itself if the state has moved on.
func (b *Breaker) probed(p *probe, o Outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget(func(q *probe) bool { return q == p })
	if p.released && o == Ignored {
		return // its place is free already; twice would let one too many in
	}
	p.report(verdict(o))
}

// forget drops the probes for which gone is true.
func (b *Breaker) forget(gone func(*probe) bool) {
	kept := b.probes[:0]
	for _, p := range b.probes {
		if !gone(p) {
			kept = append(kept, p)
		}
	}
	clear(b.probes[len(kept):])
	b.probes = kept
}
