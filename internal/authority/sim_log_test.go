package authority

import "time"

// The replicated log of the simulation: Raft with its messages folded into rounds. Every round a leader pushes
// its log to whom it reaches both ways; an entry is committed when a majority has it and the leader's term wrote
// it; followers hear of a commit a round later. A node becomes leader when a majority that hears no leader finds
// its log no older than their own. An old leader that is cut off goes on for a while, and what it wrote is
// truncated when it is found again.

type entry struct {
	term int
	cmd  Command
}

// raft is one node's part. Its log is safe on disk at once.
type raft struct {
	term    int
	log     []entry // entry i has index i+1
	commit  int
	leading bool
	heard   time.Duration // from a leader, or by a majority as one
	leader  int           // who was heard
}

const (
	roundEvery    = 50 * time.Millisecond
	leaderSilence = 250 * time.Millisecond
)

func (r *raft) last() (term, length int) {
	if len(r.log) == 0 {
		return 0, 0
	}
	return r.log[len(r.log)-1].term, len(r.log)
}

// newer reports whether r's log is behind o's.
func (r *raft) behind(o *raft) bool {
	rt, rl := r.last()
	ot, ol := o.last()
	return rt < ot || rt == ot && rl < ol
}

// linked reports whether a round trip between two nodes works now.
func (w *world) linked(a, b *node) bool {
	return a == b || a.running(w.now) && b.running(w.now) && !w.cut[a.i][b.i] && !w.cut[b.i][a.i]
}

func (w *world) round() {
	start := w.rng.IntN(w.n)
	for k := range w.n {
		n := w.nodes[(start+k)%w.n]
		if !n.running(w.now) {
			continue
		}
		if n.r.leading {
			w.replicate(n)
		} else if w.now-n.r.heard > leaderSilence {
			w.campaign(n)
		}
	}
	for _, n := range w.nodes {
		if n.running(w.now) {
			n.advance()
		}
	}
}

func (w *world) replicate(n *node) {
	r := &n.r
	matched := 1
	before := r.commit
	for _, f := range w.nodes {
		if f == n || !w.linked(n, f) || w.lost() {
			continue
		}
		if f.r.term > r.term {
			r.leading = false
			return
		}
		if f.r.follow(r, n.i, before) > 0 {
			w.seen["truncations"]++
		}
		f.r.heard = w.now
		matched++
	}
	if matched > w.n/2 {
		r.heard = w.now
		if term, length := r.last(); term == r.term && length > r.commit {
			r.commit = length
			w.committed(n)
		}
	} else if w.now-r.heard > 2*leaderSilence {
		r.leading = false
	}
}

// follow takes the leader's log, cutting off what it does not have.
func (r *raft) follow(l *raft, leader, commit int) (cut int) {
	r.term, r.leading, r.leader = l.term, false, leader
	same := min(len(r.log), len(l.log))
	for same > 0 && r.log[same-1].term != l.log[same-1].term {
		same--
	}
	if same < r.commit {
		panic("the simulated log lost a committed entry")
	}
	cut = len(r.log) - same
	r.log = append(r.log[:same:same], l.log[same:]...)
	r.commit = max(r.commit, min(commit, len(r.log)))
	return cut
}

func (w *world) campaign(n *node) {
	votes, top := 1, n.r.term
	var voters []*node
	for _, v := range w.nodes {
		if v == n || !w.linked(n, v) || n.r.behind(&v.r) || w.now-v.r.heard <= leaderSilence {
			continue
		}
		votes, top, voters = votes+1, max(top, v.r.term), append(voters, v)
	}
	if votes <= w.n/2 {
		return
	}
	for _, v := range voters {
		v.r.term, v.r.leading, v.r.heard = top+1, false, w.now
	}
	n.r.term, n.r.leading, n.r.heard, n.r.leader = top+1, true, w.now, n.i
	n.r.log = append(n.r.log, entry{n.r.term, Noop{}})
	w.seen["elections"]++
}

// propose gives a command to the leader that this node knows, be it itself. It may come late.
func (n *node) propose(c Command) {
	n.w.send(n.i, n.r.leader, func(l *node) {
		if l.r.leading {
			l.r.log = append(l.r.log, entry{l.r.term, c})
		}
	})
}

// committed applies what is committed to the world's own copy of the state and has it checked.
func (w *world) committed(n *node) {
	for int(w.truth.Index()) < n.r.commit {
		i := int(w.truth.Index())
		w.history = append(w.history, n.r.log[i])
		for _, e := range w.apply(w.truth, Index(i+1), n.r.log[i].cmd) {
			w.judgeEvent(e)
		}
	}
}
