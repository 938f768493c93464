package authority

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// admit checks a quorum as it comes from the log and completes it: the rule parsed, the voters by name, the age
// of those that are new.
func (m *Machine) admit(q Quorum, declared int) (Quorum, error) {
	if len(q.Voters) < 1 || len(q.Voters) > MaxVoters || declared < 0 || declared > MaxVoters {
		return q, fmt.Errorf("%d voters of %d declared are outside 1..%d", len(q.Voters), declared, MaxVoters)
	}
	if len(q.Source) > MaxSource || !promised(q.Promise) {
		return q, fmt.Errorf("a rule of %d bytes (most %d) or a promise of %s (%s..%s)", len(q.Source), MaxSource, q.Promise, LeastPromise, MostPromise)
	}
	q.Voters = slices.Clone(q.Voters)
	slices.SortFunc(q.Voters, func(a, b Member) int { return cmp.Compare(a.Name, b.Name) })
	for i, v := range q.Voters {
		if !named(v.Name, v.Store, v.Region) || i > 0 && q.Voters[i-1].Name == v.Name {
			return q, fmt.Errorf("voter %.40q: name, store or region is empty or too long, or it is named twice", v.Name)
		}
		q.Voters[i].Joined = m.joined(v.VoterID)
	}
	rule, err := m.rules.Parse(q.Source)
	if err != nil {
		return q, fmt.Errorf("rule: %w", err)
	}
	q.Rule = rule
	if q.Satisfied(func(VoterID) bool { return false }) || !q.Satisfied(func(VoterID) bool { return true }) {
		return q, errors.New("rule: its voters cannot satisfy it, or nobody does")
	}
	return q, m.rules.Admit(rule, q.Voters, declared)
}

// joined is the age of a voter: since when it has been one without a break.
func (m *Machine) joined(id VoterID) Index {
	for _, v := range m.s.Ruling.Now.Voters {
		if v.VoterID == id {
			return v.Joined
		}
	}
	return m.s.Index
}

func (m *Machine) change(c Change) (*Event, error) {
	r := &m.s.Ruling
	if r.Joint() {
		return nil, fmt.Errorf("change %d is under way", r.Barrier)
	}
	if c.From != r.Version {
		return nil, fmt.Errorf("the rule is version %d, not %d", r.Version, c.From)
	}
	q, err := m.admit(c.Quorum, c.Declared)
	if err != nil {
		return nil, err
	}
	before := r.Now
	m.s.Ruling = Ruling{Version: r.Version + 1, Now: q, Before: &before, Barrier: m.s.Index}
	m.s.Declared = c.Declared
	return &Event{Kind: ChangeBegan, Version: m.s.Ruling.Version}, nil
}

// underWay checks that a change began at this entry and has not ended.
func (m *Machine) underWay(barrier Index) error {
	if r := &m.s.Ruling; !r.Joint() || r.Barrier != barrier {
		return fmt.Errorf("no change %d is under way", barrier)
	}
	return nil
}

func (m *Machine) finish(c Finish) (*Event, error) {
	if err := m.underWay(c.Barrier); err != nil {
		return nil, err
	}
	r := &m.s.Ruling
	if !r.SatisfiedBy(c.Confirmed) {
		return nil, errors.New("the voters that confirmed do not satisfy both rules")
	}
	m.s.Ruling = Ruling{Version: r.Version, Now: r.Now}
	return &Event{Kind: ChangeFinished, Version: r.Version}, nil
}

// restore needs no barrier: every gate of every version up to here needs the old rule too.
func (m *Machine) restore(c Restore) (*Event, error) {
	if err := m.underWay(c.Barrier); err != nil {
		return nil, err
	}
	m.s.Ruling = Ruling{Version: m.s.Ruling.Version + 1, Now: *m.s.Ruling.Before}
	return &Event{Kind: ChangeRestored, Version: m.s.Ruling.Version}, nil
}
