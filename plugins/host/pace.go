package host

import "time"

// pace is the time between the lives of a plugin. It has no clock.
type pace struct {
	least, most time.Duration
	next        time.Duration
}

// pause returns how long to wait after a life of that length: least at first, then twice as long up to most. A life
// of most or more starts over.
func (p *pace) pause(lived time.Duration) time.Duration {
	if p.next == 0 || lived >= p.most {
		p.next = p.least
	}
	d := p.next
	p.next = min(2*p.next, p.most)
	return d
}
