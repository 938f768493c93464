package peer

import (
	"slices"
	"time"
)

// recent is how many pings a link remembers.
const recent = 64

// never is the age of what has not happened.
const never = time.Duration(-1)

// health judges one link by its pings. It has no clock: now is monotonic time since the link began.
type health struct {
	interval time.Duration // between pings
	floor    time.Duration // the shortest silence that ends a link
	seed     time.Duration // round trip expected while none is measured

	sent     [recent]ping
	seq      uint64        // of the last ping sent; the first is 1
	answered time.Duration // when the last pong came; the link's begin until then
	stood    time.Duration // when the path last moved again after it had stood still
	heardAt  time.Duration // when the last ping of the other side came, or never
	toldAt   time.Duration // when the other side last told what it hears, or never
	told     time.Duration // how old our last ping was then, over there, or never
}

type ping struct {
	seq  uint64
	sent time.Duration
	rtt  time.Duration // 0 until answered
	held bool          // the pong was held up on the way
}

func newHealth(interval, floor, seed time.Duration) *health {
	return &health{interval: interval, floor: floor, seed: seed, heardAt: never, toldAt: never, told: never}
}

// ping returns the next ping to send.
func (h *health) ping(now time.Duration) beat {
	h.seq++
	h.sent[h.seq%recent] = ping{seq: h.seq, sent: now}
	return beat{seq: h.seq, sent: now, heard: age(h.heardAt, now)}
}

// pinged takes in a ping of the other side and returns the pong.
func (h *health) pinged(b beat, now time.Duration) beat {
	h.hears(b, now)
	h.heardAt = now
	return beat{seq: b.seq, sent: b.sent, heard: 0}
}

// ponged takes in a pong, false for one to no ping of ours. It returns the measured round trip, 0 where none was:
// a path that stood still gives back all its pongs at one time, and those tell how long it stood and not how
// long it is. They would otherwise pass for a distance, as a retransmitted segment's would (RFC 6298 section 3).
func (h *health) ponged(b beat, now time.Duration) (time.Duration, bool) {
	p := &h.sent[b.seq%recent]
	if b.seq == 0 || p.seq != b.seq || p.sent != b.sent || p.rtt != 0 {
		return 0, false
	}
	p.rtt = max(now-p.sent, 1)
	if now-h.answered > 2*h.interval+h.rtt() {
		h.stood = now
	}
	h.answered = now
	h.hears(b, now)
	if p.held = p.sent < h.stood; p.held {
		return 0, true
	}
	return p.rtt, true
}

func (h *health) hears(b beat, now time.Duration) { h.toldAt, h.told = now, b.heard }

// rtt is the median round trip of the last pings that were answered; the seed before the first.
func (h *health) rtt() time.Duration {
	var all []time.Duration
	for i := uint64(0); i < recent && i < h.seq && len(all) < 15; i++ {
		if p := h.sent[(h.seq-i)%recent]; p.rtt > 0 && !p.held {
			all = append(all, p.rtt)
		}
	}
	if len(all) == 0 {
		return h.seed
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// loss is the share of the remembered pings whose pong did not come within an interval and two round
// trips, 0 to 1. Links lie on TCP, so these are pings that were late as well as those that never came.
func (h *health) loss(now time.Duration) float64 {
	due := h.interval + 2*h.rtt()
	counted, lost := 0, 0
	for _, p := range h.sent {
		switch {
		case p.seq == 0 || p.rtt == 0 && now-p.sent <= due:
			continue
		case p.rtt == 0 || p.rtt > due:
			lost++
		}
		counted++
	}
	if counted == 0 {
		return 0
	}
	return float64(lost) / float64(counted)
}

// bound is how long the link may be without a pong.
func (h *health) bound() time.Duration { return max(h.floor, 4*(h.interval+h.rtt())) }

// deadline is when the link is down unless a pong comes before.
func (h *health) deadline() time.Duration { return h.answered + h.bound() }

// excuse forgives the silence so far: this process itself was not running, so it cannot tell.
func (h *health) excuse(now time.Duration) { h.answered, h.stood = now, now }

// hearing reports whether anything of the other side came lately.
func (h *health) hearing(now time.Duration) bool {
	heard := max(h.heardAt, h.toldAt)
	return heard != never && now-heard < h.bound()
}

func age(at, now time.Duration) time.Duration {
	if at == never {
		return never
	}
	return now - at
}
