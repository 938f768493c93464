package authority

import (
	"maps"
	"slices"
)

// Sealer collects confirmations at the leader and proposes the entries that complete barriers. What it collects
// stays true when the leader changes, so it may be kept or begun anew at will. It is not safe for concurrent use.
type Sealer struct {
	view      View
	confirmed map[Index]map[VoterID]bool // by barrier, those still pending
}

// NewSealer returns a sealer that has seen nothing.
func NewSealer() *Sealer { return &Sealer{confirmed: map[Index]map[VoterID]bool{}} }

// Apply takes in what the log says; what was confirmed of barriers that are over is forgotten.
func (s *Sealer) Apply(v View) {
	s.view = v
	maps.DeleteFunc(s.confirmed, func(b Index, _ map[VoterID]bool) bool { return !s.pending(b) })
}

func (s *Sealer) pending(barrier Index) bool {
	if barrier == 0 {
		return false
	}
	if s.view.Ruling.Barrier == barrier {
		return true
	}
	for i := range s.view.Lives {
		if l := &s.view.Lives[i]; l.Suspect == barrier && l.Fenced == 0 {
			return true
		}
	}
	return false
}

// Confirm takes in a voter's confirmation. One of a barrier that is not pending here, or not yet, is dropped, and
// so is a stranger's: voters repeat what still holds.
func (s *Sealer) Confirm(c Confirmation) {
	if !s.pending(c.Barrier) || !slices.Contains(s.view.Ruling.Voters(), c.Voter) {
		return
	}
	if s.confirmed[c.Barrier] == nil {
		s.confirmed[c.Barrier] = map[VoterID]bool{}
	}
	s.confirmed[c.Barrier][c.Voter] = true
}

// Proposals returns the entries to propose now. They are returned again until the log has them: whoever proposes
// them waits for the answer to one before proposing it again. Twice in the log they do nothing.
func (s *Sealer) Proposals() []Command {
	var all []Command
	r := &s.view.Ruling
	if by := s.by(r.Barrier); r.Barrier != 0 && r.SatisfiedBy(by) {
		all = append(all, Finish{Barrier: r.Barrier, Confirmed: by})
	}
	for _, l := range s.view.Lives {
		if l.Suspect == 0 || l.Fenced != 0 {
			continue
		}
		if by := s.by(l.Suspect); r.SatisfiedBy(by) {
			all = append(all, Fence{Life: l.Life, Suspect: l.Suspect, Confirmed: by})
		}
	}
	return all
}

// by returns the voters of the ruling that confirmed a barrier.
func (s *Sealer) by(barrier Index) []VoterID {
	var by []VoterID
	for _, v := range s.view.Ruling.Voters() {
		if s.confirmed[barrier][v] {
			by = append(by, v)
		}
	}
	return by
}
