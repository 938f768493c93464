package control

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/internal/authority"
)

// What an older release cannot apply stops it, so nothing of that kind is proposed before every member of the group
// reads it. What a member has said stands until it says something else: a gateway that is down does not take back what
// its fleet can do, and it must not return with an older release.

const (
	// readsAgain is how long what a member said stands before it is asked again.
	readsAgain = time.Minute
	// readsMissing is how often a member is asked that is down or of another release.
	readsMissing = 2 * time.Second
	// readsUnheard is how soon one that did not answer is asked again: a fleet that begins has its links one by one.
	readsUnheard = 250 * time.Millisecond
	// readsAtOnce is how many members are asked at a time, readsBound for how long.
	readsAtOnce = 16
	readsBound  = time.Second
	// maxReads bounds what a member may say.
	maxReads = 256
)

// reads is what the members have said that they read.
type reads struct {
	mu   sync.Mutex
	of   map[raft.ServerID]read
	done chan struct{}          // closed when nobody is asked any more; nil: nobody is
	left int                    // who are asked now
	time atomic.Pointer[moment] // by the voters' clocks
}

type read struct {
	names []string // sorted
	asked time.Time
	clock moment // its own; zero: it has not said
}

// readsHere returns the kinds of commands and the parts that this release applies.
func (n *Node) readsHere() []string {
	all := authority.Kinds()
	for name := range n.cfg.Parts {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// AllRead reports whether every member of the group runs a release that reads these kinds of commands and parts. It
// asks those that have not said so yet, for a second at most. Once true it stays true while no member is added that
// has not said so, and none says something else.
func (n *Node) AllRead(ctx context.Context, names ...string) bool {
	if n.allKnown(names) {
		return true
	}
	n.askReads(ctx, names)
	return n.allKnown(names)
}

// allKnown is AllRead by what is known; it asks nobody.
func (n *Node) allKnown(names []string) bool {
	servers, err := n.servers()
	return err == nil && len(servers) > 0 && len(n.reads.lacking(servers, names)) == 0
}

// lacking returns the members that have not said that they read all of these.
func (r *reads) lacking(servers []raft.Server, names []string) []raft.ServerID {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []raft.ServerID
	for _, s := range servers {
		said := r.of[s.ID].names
		if slices.ContainsFunc(names, func(name string) bool { return !slices.Contains(said, name) }) {
			all = append(all, s.ID)
		}
	}
	return all
}

// due are the members to ask now: those that lack something after a while, the others after a longer one. Those that
// are no members are forgotten.
func (r *reads) due(servers []raft.Server, lacking []raft.ServerID, me raft.ServerID, now time.Time) []raft.ServerID {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.of, func(id raft.ServerID, _ read) bool {
		return id != me && !slices.ContainsFunc(servers, func(s raft.Server) bool { return s.ID == id })
	})
	var all []raft.ServerID
	for _, s := range servers {
		wait := readsAgain
		if slices.Contains(lacking, s.ID) {
			wait = readsMissing
		}
		if said := r.of[s.ID]; s.ID != me && now.Sub(said.asked) >= wait {
			said.asked = now
			r.of[s.ID] = said
			all = append(all, s.ID)
			r.begin()
		}
	}
	return all
}

// begin counts a member that is asked; mu is held.
func (r *reads) begin() {
	if r.left++; r.done == nil {
		r.done = make(chan struct{})
	}
}

// end counts one that has been. One that did not answer is asked again soon.
func (r *reads) end(id raft.ServerID, answered bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.of[id]; !answered {
		e.asked = e.asked.Add(readsUnheard - readsMissing)
		r.of[id] = e
	}
	if r.left--; r.left == 0 {
		close(r.done)
		r.done = nil
	}
}

// answered waits for those whom others ask at the moment.
func (r *reads) answered(ctx context.Context) {
	r.mu.Lock()
	done := r.done
	r.mu.Unlock()
	if done == nil {
		return
	}
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// said takes in what a member answered.
func (r *reads) said(id raft.ServerID, names []string, clock moment) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.of[id]
	e.names, e.clock = names[:min(len(names), maxReads)], clock
	r.of[id] = e
}

// askReads asks the members that are due, and waits for them.
func (n *Node) askReads(ctx context.Context, names []string) {
	servers, err := n.servers()
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, readsBound)
	defer cancel()
	var asked sync.WaitGroup
	room := make(chan struct{}, readsAtOnce)
	for _, id := range n.reads.due(servers, n.reads.lacking(servers, names), idOf(n.me()), time.Now()) {
		room <- struct{}{}
		asked.Go(func() {
			defer func() { <-room }()
			var s Self
			answered := n.call(ctx, nameOf(id), "self", struct{}{}, &s) == nil && idOf(authority.VoterID{Name: s.Gateway, Store: s.Store}) == id
			if answered {
				n.reads.said(id, s.Reads, momentOf(s.Now))
			}
			n.reads.end(id, answered)
		})
	}
	asked.Wait()
	n.reads.answered(ctx)
	n.reads.agree(servers, idOf(n.me()), moment{n.cfg.Wall().Round(0), time.Now()})
}

// reading keeps what is known of the members fresh: a claim cannot wait for them to be asked.
func (n *Node) reading(ctx context.Context) {
	if n.cfg.Alone {
		return
	}
	tick := time.NewTicker(readsMissing)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			n.askReads(ctx, n.readsHere())
		case <-ctx.Done():
			return
		}
	}
}
