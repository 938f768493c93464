package control

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/events"
)

// steward does what the leader has to see to, for as long as this gateway leads. Nothing that it does is safe or
// unsafe by when it does it: the log judges.
func (n *Node) steward(ctx context.Context) {
	tick := time.NewTicker(n.cfg.Interval)
	defer tick.Stop()
	w, far := &watch{}, &distances{}
	leads := false
	for {
		select {
		case <-tick.C:
			n.measure(ctx, far)
		case <-n.driver.judge:
		case <-ctx.Done():
			n.cfg.Lead(false)
			return
		}
		n.noteLeader()
		n.noteForeign()
		if now := n.leading(); now != leads {
			leads, w = now, &watch{former: n.predecessor()}
			n.cfg.Lead(leads)
		}
		if leads {
			n.duties(ctx, w, n.tryDuties)
		}
	}
}

// watch is what a steward remembers while it leads.
type watch struct {
	term    uint64        // in which it had applied all that was committed before
	former  string        // who led before, if this is the steward's
	failing int           // times in a row
	said    string        // what was logged
	stalled time.Duration // since when a change waits for voters that are not there, 0: none
	asked   time.Duration // when the strategy was asked last
	far     distances     // as the voters see it
}

// noteLeader keeps how long there was no leader.
func (n *Node) noteLeader() {
	leader := n.leader()
	n.mu.Lock()
	before := n.known
	n.known = leader
	if before != "" && before != leader {
		n.former = before
	}
	switch {
	case leader == "" && n.lost.IsZero():
		n.lost = time.Now()
	case leader != "" && !n.lost.IsZero():
		n.took, n.since = time.Since(n.lost), time.Now()
		n.lost = time.Time{}
	}
	n.mu.Unlock()
	switch leader {
	case before:
	case "":
		n.log.Warn("control group: no leader is known", "before", before)
		n.cfg.Event(events.LeaderChanged, "", before+" leads no more")
	default:
		n.log.Info("control group: a gateway leads", "gateway", leader)
		n.cfg.Event(events.LeaderChanged, leader, leader+" leads")
	}
}

// duties sees to some of the leader's, once this gateway has applied what was committed before it led: by an older state
// it would, say, take the vote of a voter whose place in the rule it has not read of yet.
func (n *Node) duties(ctx context.Context, w *watch, try func(context.Context, *watch) error) {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	err := n.catchUp(ctx, w)
	if err == nil {
		err = try(ctx, w)
	}
	if err == nil {
		w.failing, w.said = 0, ""
		return
	}
	// What passes by itself is not worth a line: a strategy needs a moment to start, a follower to be heard.
	if w.failing++; w.failing < patient || ctx.Err() != nil || err.Error() == w.said {
		return
	}
	w.said = err.Error()
	if n.fsm.read().stuck != nil { // another voter may be of the release that reads on
		n.handOver()
	}
	n.log.Warn("control group: a duty of the leader is not done", "cause", w.said)
}

// catchUp waits until everything that was committed before this term is applied here.
func (n *Node) catchUp(ctx context.Context, w *watch) error {
	r := n.current()
	if r == nil {
		return errNotLeader
	}
	term := r.CurrentTerm()
	if term == w.term {
		return nil
	}
	barrier := r.Barrier(Patience)
	n.suspectFormer(ctx, w.former) // on the same way
	if err := barrier.Error(); err != nil {
		return ended(err)
	}
	w.term = term
	return nil
}

// patient is how many times in a row a duty must fail for it to be told.
const patient = 10

func (n *Node) tryDuties(ctx context.Context, w *watch) error {
	p := n.fsm.read()
	if p.stuck != nil {
		return p.stuck
	}
	if n.identity().Forcing != nil {
		return n.force(ctx, p)
	}
	if p.cluster == "" {
		return n.first(ctx)
	}
	if n.cfg.Alone {
		return nil
	}
	h, err := n.hearings(ctx)
	if err != nil {
		return err
	}
	far := h.far
	if len(h.voters) < len(p.view.Ruling.Now.Voters) { // who is missing may be the farthest
		far = max(far, n.implied(p.view.Ruling.Now.Promise))
	}
	w.far.add(far)
	return errors.Join(n.judgeLives(ctx, p, h), n.judgeRule(ctx, w, p, h))
}

// first is the first command of a cluster: who votes, and by which rule.
func (n *Node) first(ctx context.Context) error {
	f := n.identity().Founded
	if f == nil {
		return errors.New("this store joined a cluster that has no rule yet")
	}
	var voters []authority.Member
	for _, v := range f.Voters {
		voters = append(voters, authority.Member{VoterID: v.voter(), Region: v.Region, Witness: v.Witness})
	}
	q, err := n.quorum(ctx, voters, nil, len(voters), authority.DefaultPromise(n.cfg.Interval, n.reach()))
	if err != nil {
		return err
	}
	return n.command(ctx, authority.Bootstrap{Cluster: f.Cluster, Quorum: q, Declared: len(voters)})
}

func (n *Node) servers() ([]raft.Server, error) {
	r := n.current()
	if r == nil {
		return nil, errNotLeader
	}
	f := r.GetConfiguration()
	if err := f.Error(); err != nil {
		return nil, ended(err)
	}
	return f.Configuration().Servers, nil
}

// sealing proposes what the driver has found complete. What is handed over meanwhile may be the same again.
func (n *Node) sealing(ctx context.Context) {
	for {
		var c authority.Command
		select {
		case c = <-n.driver.seals:
		case <-ctx.Done():
			return
		}
		n.complete(ctx, c)
		for done := []authority.Index{barrierOf(c)}; len(n.driver.seals) > 0; {
			if c = <-n.driver.seals; !slices.Contains(done, barrierOf(c)) {
				n.complete(ctx, c)
				done = append(done, barrierOf(c))
			}
		}
	}
}

func (n *Node) complete(ctx context.Context, c authority.Command) {
	if !n.leading() {
		return
	}
	if err := n.give(ctx, c); err != nil {
		n.log.Debug("barrier not completed yet", "cause", err.Error())
	}
}

// barrierOf is the barrier that a command completes.
func barrierOf(c authority.Command) authority.Index {
	switch c := c.(type) {
	case authority.Fence:
		return c.Suspect
	case authority.Finish:
		return c.Barrier
	}
	return 0
}
