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
	flows   map[uint32]packet // newest packet by ports, of the connections that may be open
	closed  bool
}

// maxFlows bounds the connections that a line can reset at once.
const maxFlows = 4096

type parcel struct {
	p   packet
	due time.Time
}

func newLine(from, to *Host) *line {
	return &line{from: from, to: to, packets: make(chan parcel, queued), flows: make(map[uint32]packet)}
}

func (l *line) condition() Condition {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.c
}

func (l *line) set(c Condition) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.Reject && !l.c.Reject {
		// A host that goes down resets what it had open; it does not wait to be spoken to.
		for _, p := range l.flows {
			l.reset(p)
		}
		clear(l.flows)
	}
	l.c = c
}

// reset answers p with a reset in the receiver's name.
func (l *line) reset(p packet) {
	if r := p.reset(); r != nil {
		_, _ = l.from.tun.Write(r) // a host that is gone needs none
	}
}

// send puts a packet on its way. jitter is 0 to 1 of the condition's.
func (l *line) send(p packet, jitter float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed || l.c.Cut:
		return
	case l.c.Reject:
		l.reset(p)
		return
	}
	if ports, open := p.connection(); open && len(l.flows) < maxFlows {
		l.flows[ports] = p
	} else if !open {
		delete(l.flows, ports)
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
