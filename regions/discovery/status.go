package discovery

import (
	"cmp"
	"slices"
	"time"

	"github.com/quorate/quorate/regions"
)

// Status is what a Keeper holds and why, for operators.
type Status struct {
	Sources   []SourceStatus // in configured order
	Nodes     []NodeStatus   // by id
	Conflicts []Conflict     // the first 100
	Refused   int            // claims that do not count, shown or not
}

// SourceStatus is how one source is.
type SourceStatus struct {
	Name       string
	Stale      bool      // its last answer was none, or it has not answered yet
	StaleSince time.Time // zero while fresh
	Cause      string    // why it is stale
	Answered   time.Time // its last answer of any kind; zero before
	Good       time.Time // its last good answer; zero before
	Named      int       // nodes that its last good answer names
	Held       int       // nodes that it holds, named or not
	Voices     []Voice   // of its last answer
	// Since the source is configured: answers, those that were none, and those from which a voice dissented.
	Answers, Errors, Disagreements uint64
	Restarts                       uint64 // times that a Group ran it again after it had ended or panicked
}

// NodeStatus is one node of the set with its provenance.
type NodeStatus struct {
	regions.Proposal
	Holders []Holder // in order of precedence; at least one
}

// Holder is one who holds a node: a source, Disk or Retired.
type Holder struct {
	Source string
	ID     regions.NodeID // what the holder calls it
	Left   time.Time      // no longer named since; zero while its answers name it
	Disk   bool           // from disk, and not named since the start
	Stale  bool           // the source is stale
}

// Status returns what there is to show. The caller owns it.
func (k *Keeper) Status() Status {
	s := Status{Conflicts: slices.Clone(k.conflicts), Refused: k.refused}
	s.Sources = k.Sources()
	all := k.all()
	s.Nodes = make([]NodeStatus, 0, len(k.byURL))
	k.join.each(all, func(url string, refs []ref) {
		p, ok := k.at(url)
		if !ok {
			return
		}
		n := NodeStatus{Proposal: p}
		for _, r := range refs {
			if c, h := r.claim, all[r.rank]; !c.refused {
				n.Holders = append(n.Holders, Holder{Source: h.id.Name, ID: c.ID, Left: c.left, Disk: c.disk, Stale: h.stale})
			}
		}
		s.Nodes = append(s.Nodes, n)
	})
	slices.SortFunc(s.Nodes, func(a, b NodeStatus) int { return cmp.Compare(a.ID, b.ID) })
	return s
}

// Sources returns Status().Sources without working out the rest.
func (k *Keeper) Sources() []SourceStatus {
	all := make([]SourceStatus, 0, len(k.sources))
	for _, h := range k.sources {
		all = append(all, h.status())
	}
	return all
}

func (h *holding) status() SourceStatus {
	return SourceStatus{
		Name: h.id.Name, Stale: h.stale, StaleSince: h.staleSince, Cause: h.cause, Answered: h.answered, Good: h.good,
		Named: len(h.claims) - h.loose, Held: len(h.claims), Voices: slices.Clone(h.voices),
		Answers: h.answers, Errors: h.errors, Disagreements: h.disagreements,
	}
}
