package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/rulebook"
)

// quorum asks the strategy for the rule over these voters.
func (n *Node) quorum(ctx context.Context, voters []authority.Member, gateways []authority.Gateway, declared int, promise time.Duration) (authority.Quorum, error) {
	voters = slices.Clone(voters)
	slices.SortFunc(voters, func(a, b authority.Member) int { return cmp.Compare(a.Name, b.Name) }) // as a quorum has them
	aged := slices.Clone(voters)
	for i := range aged {
		if aged[i].Joined == 0 { // it joins by the entry that is to come
			aged[i].Joined = authority.Index(n.fsm.read().index + 1)
		}
	}
	r, err := n.cfg.Ask(ctx, rulebook.Input(aged, gateways, declared, n.cfg.Options()))
	if err != nil {
		return authority.Quorum{}, err
	}
	return authority.Quorum{Source: r.Encode(), Voters: voters, Promise: promise}, nil
}

// hearings is what the voters have told this leader lately.
type hearings struct {
	now    time.Duration
	voters map[authority.VoterID]told // those heard from within a promise, this one among them
	far    time.Duration
}

func (n *Node) hearings(ctx context.Context) (h hearings, err error) {
	err = n.driver.do(ctx, func(d *driver) {
		h = hearings{now: d.lease.Now(), voters: map[authority.VoterID]told{}, far: d.far()}
		for name, t := range d.others {
			if h.now-t.at > n.bound(d.view.Ruling.Now.Promise) {
				delete(d.others, name)
				continue
			}
			h.voters[t.Voter] = t
			h.far = max(h.far, t.Far)
		}
	})
	return h, err
}

// bound is how old what a voter has told may be: longer than any gate stays open on it.
func (n *Node) bound(promise time.Duration) time.Duration { return promise + n.cfg.Interval }

// silence is how long a life must not have been heard to be suspected: room for two heartbeats that are lost. It is
// shorter than a promise, so that the promise, which a fence waits for anyway, is what it takes: a suspicion may come too
// soon, as may any other.
func silence(promise time.Duration) time.Duration { return promise * 3 / 4 }

// present reports whether the voters that are there satisfy a quorum.
func (h *hearings) present(q *authority.Quorum) bool {
	return q.Satisfied(func(v authority.VoterID) bool { _, ok := h.voters[v]; return ok })
}

// judgeLives suspects gateways that hold no open gate, as too few voters hear them, and clears those that are heard
// again. It needs voters that satisfy the rule to be there: who is cut off suspects nobody.
func (n *Node) judgeLives(ctx context.Context, p published, h hearings) error {
	if !h.present(&p.view.Ruling.Now) {
		return nil
	}
	var problems []error
	for _, s := range p.view.Lives {
		if s.Fenced != 0 {
			continue
		}
		silent, hearing := n.observers(s, p, h)
		switch {
		case s.Suspect == 0 && silent >= min(2, len(p.view.Ruling.Now.Voters)) && !p.view.Ruling.SatisfiedBy(hearing):
			problems = append(problems, n.give(ctx, authority.Suspect{Life: s.Life}))
		case s.Suspect != 0 && p.view.Ruling.SatisfiedBy(hearing):
			problems = append(problems, n.give(ctx, authority.Clear{Life: s.Life, Suspect: s.Suspect}))
		}
	}
	return errors.Join(problems...)
}

// observers counts the voters that have not heard a life for too long, or have found that its process is gone, and names
// those that hear it. That a process is gone may be an error as any suspicion may be: the fence waits for the promises.
func (n *Node) observers(s authority.Standing, p published, h hearings) (silent int, hearing []authority.VoterID) {
	bound := n.fresh(s, p)
	for v, t := range h.voters {
		i := slices.IndexFunc(t.Lives, func(o heard) bool { return o.Life == s.Life })
		switch {
		case i < 0: // it does not know it yet
			hearing = append(hearing, v)
		case t.Lives[i].Gone, unheard(s, t, t.Lives[i], h.now) > bound:
			silent++
		default:
			hearing = append(hearing, v)
		}
	}
	return silent, hearing
}

// unheard is for how long a voter has not heard a life. What a life did since the voter told of it is not held against it:
// a voter tells at once when it has not heard one for too long. A suspected one has to be heard after that.
func unheard(s authority.Standing, t told, o heard, now time.Duration) time.Duration {
	if s.Suspect == 0 {
		return o.Ago
	}
	return o.Ago + now - t.at
}

// fresh is how old what was heard of a life may be. Under suspicion only what came after it counts: a process that
// was started again suspects its former life at once, and that was heard a moment ago.
func (n *Node) fresh(s authority.Standing, p published) time.Duration {
	bound := silence(p.view.Ruling.Now.Promise)
	if s.Suspect == 0 {
		return bound
	}
	if since := n.fsm.since(uint64(s.Suspect) - 1); since > 0 {
		return min(bound, since)
	}
	return bound
}

const (
	// askEvery is how often the strategy is asked, at most.
	askEvery = time.Second
	// stalledFor is how long a change may wait for voters that are not there before it is taken back.
	stalledFor = 5 * time.Second
)

// judgeRule asks the strategy and changes the rule to what it says, if those whom the new rule needs are there.
func (n *Node) judgeRule(ctx context.Context, w *watch, p published, h hearings) error {
	r := &p.view.Ruling
	if r.Joint() {
		return n.judgeChange(ctx, w, r, h)
	}
	w.stalled = 0
	if h.now-w.asked < askEvery || !n.one.TryLock() { // voters that change by hand come first
		return nil
	}
	defer n.one.Unlock()
	w.asked = h.now
	promise := r.Now.Promise
	if far, ok := w.far.median(); ok {
		promise = n.promise(promise, far)
	}
	q, err := n.quorum(ctx, r.Now.Voters, p.gateways, p.declared, promise)
	if err != nil {
		return err
	}
	if slices.Equal(q.Source, r.Now.Source) && q.Promise == r.Now.Promise {
		return nil
	}
	return n.change(ctx, p, h, q, p.declared)
}

// change begins a change of rule, unless that would close gates until somebody returns.
func (n *Node) change(ctx context.Context, p published, h hearings, q authority.Quorum, declared int) error {
	if err := n.possible(h, q); err != nil {
		return err
	}
	return n.command(ctx, authority.Change{From: p.view.Ruling.Version, Quorum: q, Declared: declared})
}

// possible returns why a quorum would close gates: the voters that it needs are not there.
func (n *Node) possible(h hearings, q authority.Quorum) error {
	rule, err := n.cfg.Rules.Parse(q.Source)
	if err != nil {
		return err
	}
	q.Rule = rule
	if !h.present(&q) {
		return fmt.Errorf("%w: the voters that the new rule needs are not there: it stays as it is", ErrRefused)
	}
	return nil
}

// judgeChange takes a change back that waits for voters who have gone, if the old rule's are there.
func (n *Node) judgeChange(ctx context.Context, w *watch, r *authority.Ruling, h hearings) error {
	if h.present(&r.Now) || !h.present(r.Before) {
		w.stalled = 0
		return nil
	}
	if w.stalled == 0 {
		w.stalled = h.now
	}
	if h.now-w.stalled < stalledFor {
		return nil
	}
	return n.give(ctx, authority.Restore{Barrier: r.Barrier})
}
