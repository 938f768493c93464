package authority

import (
	"slices"
	"time"
)

// flaws are the bugs that the checker must find, each planted around the core where it would be made. With none
// switched on every hook does what is right.
type flaws struct {
	// Voter.
	noPromise    bool // confirms while its last ack still promises
	noBootWait   bool // confirms right after a start
	noFsync      bool // never has anything on disk
	earlyConfirm bool // confirms before the disk has it
	emptyVotes   bool // a voter without its store begins anew under its old name
	unrefuse     bool // entries that are read again after a restart undo what the disk holds
	shrinking    bool // waits for the promise of now, not for the largest
	// Gate.
	noMargin    bool // leaves nothing for clocks that run apart
	noJump      bool // does not compare the clocks
	fromReceipt bool // counts from when the ack came
	untagged    bool // counts acks whatever rule they name
	// Machine and sealer.
	noJoint      bool // the new rule counts at once
	newAlone     bool // a fence during a change is judged by the new rule alone
	finishAlone  bool // a change is finished by the new rule's voters alone
	nameless     bool // a fence completes whatever suspicion is in force
	staleConfirm bool // confirmations of an earlier suspicion count for the present one
	unfence      bool // clear revives who is fenced
	noBallot     bool // a claim replaces whatever ballot there is
	lateRelease  bool // a release counts against a later claim

	lives map[Index]Life // of suspicions, for staleConfirm
	early map[Life]map[VoterID]bool
}

func (f *flaws) margin(m time.Duration) time.Duration {
	if f.noMargin {
		return 1
	}
	return m
}

func (f *flaws) slept(n *node) time.Duration {
	if f.noJump {
		return 0
	}
	return n.slept
}

func (f *flaws) lostStore(n *node) Record {
	if f.emptyVotes {
		return NewRecord(n.id)
	}
	return Record{}
}

func (f *flaws) started(n *node) {
	if f.noBootWait {
		n.voter.started = -time.Hour
	}
	if f.unrefuse {
		n.voter.log.Index = 0
		n.voter.log.Version = min(n.voter.log.Version, 1)
	}
	if f.shrinking {
		n.voter.log.Largest = n.voter.log.Promise
	}
}

func (f *flaws) store(n *node, r Record) {
	if !f.noFsync {
		n.disk = r
	}
}

func (f *flaws) asked(n *node, p Persist) {
	if f.earlyConfirm {
		n.voter.disk = p.Record
	}
	if f.shrinking {
		n.voter.log.Largest = n.voter.log.Promise
	}
}

func (f *flaws) acked(n *node) {
	if f.noPromise {
		clear(n.voter.acked)
		n.voter.any = false
	}
}

func (f *flaws) gateAck(n *node, a Ack) {
	g := n.gate
	if f.fromReceipt && a.Seq <= g.seq && a.Life == g.life {
		g.sent[a.Seq%remembered] = n.mono()
	}
	if f.untagged {
		a.Version = g.ruling.Version
	}
	g.Ack(n.clocks(), a)
}

func (f *flaws) gateApply(n *node, v View) {
	n.gate.Apply(v)
}

func (f *flaws) proposals(s *Sealer) []Command {
	if f.newAlone || f.finishAlone {
		s.view.Ruling.Before = nil
	}
	return s.Proposals()
}

func (f *flaws) confirm(n *node, c Confirmation) {
	if f.staleConfirm {
		f.remember(n, c)
		return
	}
	n.sealer.Confirm(c)
}

// remember keeps confirmations by life, across suspicions.
func (f *flaws) remember(n *node, c Confirmation) {
	if f.lives == nil {
		f.lives, f.early = map[Index]Life{}, map[Life]map[VoterID]bool{}
	}
	for _, s := range n.m.View().Lives {
		if s.Suspect != 0 {
			f.lives[s.Suspect] = s.Life
		}
	}
	n.sealer.Confirm(c)
	l, ok := f.lives[c.Barrier]
	if !ok {
		return
	}
	if f.early[l] == nil {
		f.early[l] = map[VoterID]bool{}
	}
	f.early[l][c.Voter] = true
	for _, s := range n.m.View().Lives {
		for v := range f.early[s.Life] {
			n.sealer.Confirm(Confirmation{Voter: v, Barrier: s.Suspect})
		}
	}
}

func (f *flaws) apply(m *Machine, i Index, c Command) ([]Event, error) {
	switch c := c.(type) {
	case Fence:
		return f.fence(m, i, c)
	case Finish:
		if r := &m.s.Ruling; f.finishAlone && r.Joint() && r.Now.Satisfied(func(v VoterID) bool { return slices.Contains(c.Confirmed, v) }) {
			r.Before = &r.Now
		}
		return m.ApplyCommand(i, c)
	case Take:
		if f.noBallot || f.lateRelease && c.Released {
			c.Replaces = m.Owner(c.Record, c.Minter).Ballot
		}
		return m.ApplyCommand(i, c)
	case Takes:
		c.Claims = slices.Clone(c.Claims)
		for j := range c.Claims { // the earlier ones of the entry come before: a ballot is looked up for the first of a record
			if t := &c.Claims[j]; f.noBallot || f.lateRelease && t.Released {
				t.Replaces = m.Owner(t.Record, t.Minter).Ballot
			}
		}
		return m.ApplyCommand(i, c)
	case Clear:
		if g := m.s.Gateways[c.Life.Gateway]; f.unfence && g != nil && g.Life == c.Life && g.Fenced != 0 {
			g.Fenced = 0
		}
		return m.ApplyCommand(i, c)
	case Change:
		events, err := m.ApplyCommand(i, c)
		if f.noJoint && err == nil {
			m.s.Ruling.Before, m.s.Ruling.Barrier = nil, 0
		}
		return events, err
	}
	return m.ApplyCommand(i, c)
}

func (f *flaws) fence(m *Machine, i Index, c Fence) ([]Event, error) {
	if g := m.s.Gateways[c.Life.Gateway]; f.nameless && g != nil && g.Life == c.Life && g.Suspect != 0 {
		c.Suspect = g.Suspect
	}
	before := m.s.Ruling.Before
	if f.newAlone {
		m.s.Ruling.Before = nil
	}
	events, err := m.ApplyCommand(i, c)
	m.s.Ruling.Before = before
	return events, err
}
