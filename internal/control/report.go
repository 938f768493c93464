package control

import (
	"cmp"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/peer"
	"github.com/quorate/quorate/internal/planted"
)

// told is what a voter told the leader, and when.
type told struct {
	hearing
	at time.Duration
}

// confirm tells the leader what this voter stands behind.
func (d *driver) confirm() {
	if d.voter == nil {
		return
	}
	now := d.lease.Now()
	if planted.On(planted.Promise) {
		now += time.Hour
	}
	if all := d.voter.Confirmations(now); len(all) > 0 {
		d.send(d.leader(), signal{Confirm: all[:min(len(all), maxHeard)]})
	}
}

// seal hands over what the leader is to propose. It is handed over again on the next look, if need be.
func (d *driver) seal() {
	if d.leader() != d.cfg.Gateway {
		return
	}
	for _, c := range d.sealer.Proposals() {
		select {
		case d.seals <- c:
		default:
			return
		}
	}
}

// soon is how long a gateway that lives is silent at most if nothing is lost.
func (d *driver) soon() time.Duration { return d.cfg.Interval + d.cfg.Interval/quarters }

// vanished reports whether the process of a gateway that was silent for so long has ended, as far as this one can tell.
func (d *driver) vanished(gateway string, silent time.Duration) bool {
	return silent > d.soon() && d.links != nil && gateway != d.cfg.Gateway && gone(d.links.Links(), gateway, silent)
}

// gone reports whether a gateway that was linked is no more: while it was silent, nobody listened where it did. A process
// that is stopped still listens, and one that is cut off answers nothing.
func gone(links []peer.Link, gateway string, silent time.Duration) bool {
	refused := false
	for i := range links {
		if l := &links[i]; l.Gateway == gateway {
			if l.Up {
				return false
			}
			refused = refused || !l.Refused.IsZero() && time.Since(l.Refused) < silent
		}
	}
	return refused
}

// missing reports whether a life that nobody suspects yet is gone, which the leader is told at once and until it does, or
// has been silent for too long since the last look.
func (d *driver) missing() bool {
	if d.voter == nil {
		return false
	}
	now, bound := d.lease.Now(), silence(d.view.Ruling.Now.Promise)
	return slices.ContainsFunc(d.view.Lives, func(s authority.Standing) bool {
		last, ok := d.heard[s.Life]
		if !ok || s.Fenced != 0 || s.Suspect != 0 {
			return false
		}
		return now-last > bound && d.looked-last <= bound || d.vanished(s.Gateway, now-last)
	})
}

// hurry has the steward judge at once when a life is lost that nobody suspects yet.
func (d *driver) hurry(h *hearing) {
	bound := silence(d.view.Ruling.Now.Promise)
	for _, o := range h.Lives {
		if (o.Gone || o.Ago > bound) && slices.ContainsFunc(d.view.Lives, func(s authority.Standing) bool { return s.Life == o.Life && s.Suspect == 0 && s.Fenced == 0 }) {
			d.wake()
			return
		}
	}
}

// report tells the leader who was heard.
func (d *driver) report() {
	if d.voter == nil {
		return
	}
	now := d.lease.Now()
	h := hearing{Voter: d.me, Far: d.far()}
	for _, s := range d.view.Lives {
		if s.Fenced != 0 {
			delete(d.heard, s.Life)
			continue
		}
		last, ok := d.heard[s.Life]
		if !ok { // never: it has had its time since this voter first knew of it
			d.heard[s.Life], last = now, now
		}
		h.Lives = append(h.Lives, heard{s.Life, now - last, d.vanished(s.Gateway, now-last)})
	}
	slices.SortFunc(h.Lives, func(a, b heard) int { return cmp.Compare(b.Ago, a.Ago) })
	h.Lives = h.Lives[:min(len(h.Lives), maxHeard)]
	d.forgetLives()
	d.send(d.leader(), signal{Heard: &h})
}

// forgetLives drops what was heard of lives that are not in the roster.
func (d *driver) forgetLives() {
	for l := range d.heard {
		if !d.rostered(l) {
			delete(d.heard, l)
		}
	}
}

func (d *driver) rostered(l authority.Life) bool {
	return slices.ContainsFunc(d.view.Lives, func(s authority.Standing) bool { return s.Life == l })
}

// far is the longest round trip to a voter that there is a link with.
func (d *driver) far() time.Duration {
	far := time.Duration(0)
	if d.links == nil {
		return far
	}
	for _, l := range d.links.Links() {
		if l.Up && slices.ContainsFunc(d.view.Ruling.Now.Voters, func(m authority.Member) bool { return m.Name == l.Gateway }) {
			far = max(far, l.RTT)
		}
	}
	return far
}
