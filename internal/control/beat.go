package control

import (
	"time"

	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/events"
	"github.com/quorate/quorate/internal/planted"
	"github.com/quorate/quorate/strategies"
)

// arrival is a signal and whom it came from.
type arrival struct {
	from string
	signal
}

// beat asks every voter for an ack.
func (d *driver) beat() {
	if !d.hasGate() {
		return
	}
	h, ok := d.gate.Beat(readClocks(d.lease.Now))
	if !ok {
		return
	}
	s := signal{Cluster: d.label(), Beat: &h}
	b := s.encode()
	d.owes = false
	for _, v := range d.view.Ruling.Voters() {
		switch {
		case v == d.me:
			d.take(arrival{d.cfg.Gateway, s})
		case v.Name == d.cfg.Gateway: // an earlier store's
		case d.deafTo(v.Name):
			d.owes = true
		default:
			d.links.Signal(v.Name, b)
		}
	}
}

func (d *driver) hasGate() bool {
	return d.cfg.Role != strategies.Witness && !d.cfg.Alone && !d.retired
}

// send gives a signal to a gateway, which may be this one.
func (d *driver) send(to string, s signal) {
	s.Cluster = d.label()
	switch {
	case to == d.cfg.Gateway:
		d.take(arrival{to, s})
	case to != "" && d.links != nil:
		d.links.Signal(to, s.encode())
	}
}

// take handles a signal. Who sent it is known from the link, so nobody speaks for others.
func (d *driver) take(a arrival) {
	if a.Cluster != d.label() {
		return
	}
	if h := a.Beat; h != nil && h.Life.Gateway == a.from {
		d.answer(a.from, *h)
	}
	if k := a.Ack; k != nil && k.Voter.Name == a.from {
		if planted.On(planted.Untagged) {
			k.Version = d.gate.Version()
		}
		d.answers(a.from)
		d.gate.Ack(readClocks(d.lease.Now), *k)
	}
	for _, c := range a.Confirm {
		if c.Voter.Name == a.from {
			d.sealer.Confirm(c)
		}
	}
	if len(a.Confirm) > 0 {
		d.seal()
	}
	if r := a.Resigns; r != nil && a.from == d.leader() {
		d.resigned.Store(&resigned{a.from, r.Term})
	}
	if h := a.Heard; h != nil && h.Voter.Name == a.from && len(h.Lives) <= maxHeard && d.leader() == d.cfg.Gateway {
		d.others[a.from] = told{*h, d.lease.Now()}
		d.hurry(h)
	}
}

// answer acks a heartbeat, or not.
func (d *driver) answer(from string, h authority.Heartbeat) {
	if d.voter == nil {
		return
	}
	now := d.lease.Now()
	if d.rostered(h.Life) {
		d.heard[h.Life] = now
	}
	if ack, ok := d.voter.Heartbeat(now, h); ok {
		d.send(from, signal{Ack: &ack})
	}
}

// showLife shows which life this gateway acts in.
func (d *driver) showLife() {
	life := authority.Index(0)
	if !d.gate.Ended() {
		life = d.gate.Life().Incarnation
	}
	d.life.Store(uint64(life))
}

// settle shows the request path until when it may write.
func (d *driver) settle() {
	d.showLife()
	if !d.hasGate() {
		return
	}
	deadline := d.gate.Deadline()
	if deadline > 0 && planted.On(planted.Lease) {
		deadline += 10 * time.Second
	}
	if planted.On(planted.Alone) && d.gate.Life().Incarnation != 0 {
		deadline = d.lease.Now() + time.Second
	}
	d.lease.Set(deadline)
	open := d.lease.Allow()
	if open == d.open {
		return
	}
	d.open = open
	if open {
		d.cfg.Logger.Info("write gate is open", "incarnation", uint64(d.gate.Life().Incarnation), "rule_version", uint64(d.gate.Version()))
		d.cfg.Event(events.GateOpened, d.cfg.Gateway, "")
		return
	}
	d.closings.Add(1)
	d.cfg.Logger.Warn("write gate is closed: no voters that satisfy the rule have acknowledged lately", "rule_version", uint64(d.gate.Version()))
	d.cfg.Event(events.GateClosed, d.cfg.Gateway, "no voters that satisfy the rule have acknowledged lately")
}
