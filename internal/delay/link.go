package delay

import "time"

// mode is what a link does with what is sent.
type mode uint8

const (
	open     mode = iota
	cut           // holds everything up
	refusing      // lets nothing in
	closed        // for ever
)

// link is a proxy's state at one moment; it is never changed, only replaced.
type link struct {
	mode    mode
	delay   time.Duration
	since   time.Time     // when it was last healed
	changed chan struct{} // closed when another state replaces this one
}

// set replaces the state; p.mu is held.
func (p *Proxy) set(do func(*link)) {
	old := p.link.Load()
	next := &link{mode: old.mode, delay: old.delay, since: old.since, changed: make(chan struct{})}
	do(next)
	p.link.Store(next)
	close(old.changed)
}

const (
	throughput = 100 << 20 // bytes per second of the link that the default window stands for
	minWindow  = 256 << 10
	maxWindow  = 16 << 20
)

// window is how many bytes a connection may have under way in one direction.
func (p *Proxy) window() int {
	if p.cfg.Window > 0 {
		return p.cfg.Window
	}
	full := p.link.Load().delay.Seconds() * throughput
	return int(min(max(full, minWindow), maxWindow))
}

// arrive waits until what is due at a time gets there: later when the link is cut before, as it has to
// be sent again then. It returns false when done or, during a cut, gone closes first; nil never does.
func (p *Proxy) arrive(due time.Time, done, gone <-chan struct{}) bool {
	for {
		l := p.link.Load()
		if l.mode != open {
			select {
			case <-l.changed:
				continue
			case <-gone:
				return false
			case <-done:
				return false
			}
		}
		wait := max(time.Until(due), time.Until(l.since.Add(l.delay)))
		if wait <= 0 {
			return true
		}
		if timer := time.NewTimer(wait); !waited(timer, l.changed, done) {
			return false
		}
	}
}

// waited returns false when done closes before the timer fires or the link changes.
func waited(timer *time.Timer, changed, done <-chan struct{}) bool {
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-changed:
	case <-done:
		return false
	}
	return true
}
