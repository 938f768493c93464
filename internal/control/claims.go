package control

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/authority"
)

const (
	// maxClaims bounds the claims that wait to be committed.
	maxClaims = 16 * authority.MaxTakes
	// claimsRoom is what the claims of one entry may take, in bytes, with room for what is around them.
	claimsRoom = authority.MaxCommand - 1<<10
	// claimsApart is how many claims are on their way at once where each needs an entry of its own.
	claimsApart = 32
	// claimsLinger is how long the first claim waits for those of the same moment: all sessions of an owner that is fenced
	// are asked for at once, and the way of an entry, across regions, is long.
	claimsLinger = 2 * time.Millisecond
	// claimsEntries is how many entries of claims are on their way at once. A herd comes over some 30 ms, by lingers; what finds
	// no room waits for all the way of another.
	claimsEntries = 16
	// claimPatience is how long an entry of claims may take. Who waits for one may give up sooner.
	claimPatience = 5 * time.Second
)

// claims are those that wait. What comes at about the same time shares an entry.
type claims struct {
	wake chan struct{} // of one

	mu      sync.Mutex
	waiting []*claim
}

type claim struct {
	ctx  context.Context // of whoever waits
	take authority.Take
	size int // in an entry, in bytes
	done chan claimed
}

// claimed is what became of a claim.
type claimed struct {
	ballot authority.Index
	err    error
}

// Claim has a claim of this gateway committed, and returns its ballot once it is applied here. It needs an open gate
// and a commit; claims at the same time share entries of the log. An error that wraps ErrRefused: the log said no, and
// nothing was changed. ErrNoQuorum: it is not possible now, or whether it was committed is not known: ask Owner before
// you claim again.
func (n *Node) Claim(ctx context.Context, t authority.Take) (authority.Index, error) {
	if t.Claimant.Gateway != n.cfg.Gateway {
		return 0, fmt.Errorf("control: claim: %w: the claimant is %s", ErrRefused, t.Claimant)
	}
	b, err := json.Marshal(t)
	if err != nil || len(b) > claimsRoom {
		return 0, fmt.Errorf("control: claim: %w: a claim of %d bytes", ErrRefused, len(b))
	}
	if !n.lease.Allow() {
		return 0, fmt.Errorf("control: claim: %w: this gateway may not write now", ErrNoQuorum)
	}
	c := &claim{ctx: ctx, take: t, size: len(b) + 1, done: make(chan claimed, 1)}
	if !n.claims.enter(c) {
		return 0, fmt.Errorf("control: claim: %w: %d claims wait already", ErrNoQuorum, maxClaims)
	}
	select {
	case r := <-c.done:
		return r.ballot, r.err
	case <-ctx.Done():
		return 0, fmt.Errorf("control: claim: %w: %w", ErrNoQuorum, ctx.Err())
	case <-n.ctx.Done():
		return 0, fmt.Errorf("control: claim: %w: this gateway stops", ErrNoQuorum)
	}
}

func (q *claims) enter(c *claim) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) >= maxClaims {
		return false
	}
	q.waiting = append(q.waiting, c)
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return true
}

// next takes as many as one entry holds, in their order. Those that nobody waits for any more are dropped.
func (q *claims) next() []*claim {
	q.mu.Lock()
	defer q.mu.Unlock()
	var all []*claim
	size, taken := 0, 0
	for _, c := range q.waiting {
		if c.ctx.Err() == nil {
			if size += c.size; size > claimsRoom || len(all) == authority.MaxTakes {
				break
			}
			all = append(all, c)
		}
		taken++
	}
	q.waiting = append([]*claim(nil), q.waiting[taken:]...)
	return all
}

// claiming commits what waits, some entries at a time: the claims of a gateway are of different records.
func (n *Node) claiming(ctx context.Context) {
	var under sync.WaitGroup
	defer under.Wait()
	room := make(chan struct{}, claimsEntries)
	for {
		select {
		case <-n.claims.wake:
			time.Sleep(claimsLinger)
		case <-ctx.Done():
			return
		}
		for n.commitNext(ctx, &under, room) {
		}
	}
}

// commitNext takes what one entry holds, and reports whether there was any.
func (n *Node) commitNext(ctx context.Context, under *sync.WaitGroup, room chan struct{}) bool {
	select {
	case room <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	all := n.claims.next()
	if len(all) == 0 {
		<-room
		return false
	}
	under.Go(func() {
		defer func() { <-room }()
		n.commitClaims(ctx, all)
	})
	return true
}

func (n *Node) commitClaims(ctx context.Context, all []*claim) {
	ctx, cancel := context.WithTimeout(ctx, claimPatience)
	defer cancel()
	if len(all) > 1 && n.allKnown([]string{authority.KindTakes}) {
		n.commitTogether(ctx, all)
		return
	}
	var apart sync.WaitGroup
	room := make(chan struct{}, claimsApart)
	for _, c := range all {
		room <- struct{}{}
		apart.Go(func() {
			index, _, err := n.submitClaims(ctx, c.take)
			c.done <- claimed{index, err}
			<-room
		})
	}
	apart.Wait()
}

// commitTogether has claims committed by one entry.
func (n *Node) commitTogether(ctx context.Context, all []*claim) {
	takes := authority.Takes{}
	for _, c := range all {
		takes.Claims = append(takes.Claims, c.take)
	}
	index, result, err := n.submitClaims(ctx, takes)
	var why []string
	if err == nil {
		if json.Unmarshal(result, &why) != nil || len(why) != len(all) {
			err = fmt.Errorf("control: claim: %w: committed, and the answer is not readable", ErrNoQuorum)
		}
	}
	for i, c := range all {
		switch {
		case err != nil:
			c.done <- claimed{err: err}
		case why[i] != "":
			c.done <- claimed{err: fmt.Errorf("%w: %s", ErrRefused, why[i])}
		default:
			c.done <- claimed{ballot: index}
		}
	}
}

func (n *Node) submitClaims(ctx context.Context, c authority.Command) (authority.Index, []byte, error) {
	if !n.lease.Allow() {
		return 0, nil, fmt.Errorf("control: claim: %w: this gateway may not write any more", ErrNoQuorum)
	}
	entry, err := authorityEntry(c)
	if err != nil {
		return 0, nil, fmt.Errorf("control: claim: %w: %w", ErrRefused, err)
	}
	index, result, err := n.submit(ctx, entry)
	if err != nil {
		return 0, nil, err
	}
	return authority.Index(index), result, nil
}

// verdicts is the result of an entry of claims: why each was refused, "" where it was not. Other entries have none.
func verdicts(events []authority.Event) ([]byte, error) {
	why := make([]string, 0, len(events))
	for _, e := range events {
		if e.Kind != authority.Claimed && e.Kind != authority.ClaimRefused {
			return nil, nil
		}
		why = append(why, e.Why)
	}
	if len(why) == 0 {
		return nil, nil
	}
	b, err := json.Marshal(why)
	if err != nil {
		return nil, fmt.Errorf("control: claims: %w", err)
	}
	return b, nil
}
