package testnet

import (
	"sync"
	"time"
)

// queued bounds the packets on their way in one direction; a real line has bounds, too.
const queued = 4096

// line is one direction between two hosts.
type line struct {
	from, to *Host

	mu      sync.Mutex
	c       Condition
	last    time.Time // when the newest packet is due: nothing overtakes it
	packets chan parcel
	closed  bool
}

type parcel struct {
	p   packet
	due time.Time
}

func newLine(from, to *Host) *line {
	return &line{from: from, to: to, packets: make(chan parcel, queued)}
}

func (l *line) condition() Condition {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.c
}

func (l *line) set(c Condition) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.c = c
}

// send puts a packet on its way. jitter is 0 to 1 of the condition's.
func (l *line) send(p packet, jitter float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed || l.c.Cut:
		return
	case l.c.Reject:
		if reset := p.reset(); reset != nil {
			_, _ = l.from.tun.Write(reset) // a host that is gone needs none
		}
		return
	}
	due := time.Now().Add(l.c.Delay + time.Duration(jitter*float64(l.c.Jitter)))
	if due.Before(l.last) {
		due = l.last
	}
	l.last = due
	select {
	case l.packets <- parcel{p, due}:
	default: // the line is full, as lines can be
	}
}

// run delivers packets when they are due. What was under way when a line is cut is lost.
func (l *line) run() {
	for p := range l.packets {
		time.Sleep(time.Until(p.due))
		if !l.condition().Cut {
			_, _ = l.to.tun.Write(p.p) // as above
		}
	}
}

func (l *line) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		close(l.packets)
	}
}
