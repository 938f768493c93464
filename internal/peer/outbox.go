package peer

import "sync"

// maxControl bounds the pongs that wait to be written; a side that pings faster than it reads loses some.
const maxControl = 16

// maxSignals bounds the signals that wait to be written.
const maxSignals = 64

// outbox is what a link has to send. It never blocks whoever puts something in: of reports only the newest
// is kept, pings do not pile up, and control frames and signals are bounded.
type outbox struct {
	wake chan struct{} // something is to be sent

	mu      sync.Mutex
	control [][]byte // whole frames, written before anything else
	ping    bool
	signals [][]byte // whole frames
	report  []byte
	bye     []byte // the last frame
}

func newOutbox() *outbox { return &outbox{wake: make(chan struct{}, 1)} }

func (o *outbox) put(set func()) {
	o.mu.Lock()
	set()
	o.mu.Unlock()
	notify(o.wake)
}

func (o *outbox) pong(frame []byte) {
	o.put(func() {
		if len(o.control) < maxControl {
			o.control = append(o.control, frame)
		}
	})
}

// signal reports whether there was room for another frame.
func (o *outbox) signal(frame []byte) (ok bool) {
	o.put(func() {
		if ok = len(o.signals) < maxSignals && o.bye == nil; ok {
			o.signals = append(o.signals, frame)
		}
	})
	return ok
}

func (o *outbox) pingNow()             { o.put(func() { o.ping = true }) }
func (o *outbox) offer(payload []byte) { o.put(func() { o.report = payload }) }
func (o *outbox) goodbye(frame []byte) { o.put(func() { o.bye = frame }) }

// next returns the next frame to write, nil when there is none, and whether it is the last one. A ping
// and a report are made when their turn comes, so that a ping carries the time it leaves.
func (o *outbox) next(ping func() []byte) (frame []byte, last bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.bye != nil:
		return o.bye, true
	case len(o.control) > 0:
		frame, o.control = first(o.control)
	case o.ping:
		o.ping = false
		frame = ping()
	case len(o.signals) > 0:
		frame, o.signals = first(o.signals)
	case o.report != nil:
		frame = appendFrame(make([]byte, 0, frameHeader+len(o.report)), frameReport, o.report)
		o.report = nil
	}
	return frame, false
}

// first takes the oldest frame off a queue, in place.
func first(queue [][]byte) (frame []byte, rest [][]byte) {
	frame = queue[0]
	return frame, append(queue[:0], queue[1:]...)
}

// leaving reports whether the goodbye waits to be written.
func (o *outbox) leaving() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.bye != nil
}

// inbox holds the newest report that has arrived and was not handed over yet.
type inbox struct {
	wake chan struct{}

	mu     sync.Mutex
	report []byte
}

func newInbox() *inbox { return &inbox{wake: make(chan struct{}, 1)} }

func (i *inbox) put(report []byte) {
	i.mu.Lock()
	i.report = report
	i.mu.Unlock()
	notify(i.wake)
}

func (i *inbox) take() []byte {
	i.mu.Lock()
	defer i.mu.Unlock()
	report := i.report
	i.report = nil
	return report
}

// notify signals c, whose buffer of one coalesces signals.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
