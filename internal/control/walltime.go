package control

import (
	"slices"
	"time"

	"github.com/hashicorp/raft"
)

// Who may write hangs on no wall clock. What is forgotten does: keys, claims and records have an end. One machine whose
// clock is set wrong must not have everybody forget, so a gateway takes the time for what the voters say.

// clockHolds is how long what a member has said of its clock counts.
const clockHolds = 5 * readsAgain

// moment is a reading of a wall clock, and when it was taken by the clock here that nobody sets.
type moment struct{ wall, taken time.Time }

// momentOf is a reading that has just come in, of Unix milliseconds; 0: none.
func momentOf(ms int64) moment {
	if ms <= 0 {
		return moment{}
	}
	return moment{time.UnixMilli(ms), time.Now()}
}

// at is what that clock shows at a time of the clock here.
func (m moment) at(now time.Time) time.Time { return m.wall.Add(now.Sub(m.taken)) }

// Clock returns the time by the voters' clocks: the middle one, or the earlier one of the middle two. agreed is false until a
// majority of them was heard; then it is this machine's clock. It is one atomic load and a reading of the clock.
func (n *Node) Clock() (now time.Time, agreed bool) {
	if m := n.reads.time.Load(); m != nil {
		return m.at(time.Now()), true
	}
	return n.cfg.Wall(), n.cfg.Alone
}

// agree takes the time for what the voters' clocks say, if enough of them are known. own is the clock here.
func (r *reads) agree(servers []raft.Server, me raft.ServerID, own moment) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var clocks []time.Time
	voters := 0
	for _, s := range servers {
		if s.Suffrage != raft.Voter {
			continue
		}
		voters++
		said := r.of[s.ID].clock
		switch {
		case s.ID == me:
			clocks = append(clocks, own.wall)
		case !said.taken.IsZero() && own.taken.Sub(said.taken) < clockHolds:
			clocks = append(clocks, said.at(own.taken))
		}
	}
	if 2*len(clocks) <= voters {
		return
	}
	slices.SortFunc(clocks, time.Time.Compare)
	r.time.Store(&moment{clocks[(len(clocks)-1)/2], own.taken})
}
