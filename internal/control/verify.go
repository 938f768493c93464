package control

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"
)

// markQuery asks for the digest at a mark.
type markQuery struct {
	ID    string `json:"id"`
	Index uint64 `json:"index"`
}

// Agreement is what Verify found at one gateway.
type Agreement struct {
	Gateway string
	Digest  string // "" where there is none
	Problem string // "" where it agrees
}

// Verify compares the replicated state of all gateways at one index of the log, to which each of them is waited for.
// Without a quorum there is no new index: those that happen to be where this one is are compared.
func (n *Node) Verify(ctx context.Context) (index uint64, all []Agreement, err error) {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	id, mine, err := n.mark(ctx)
	if err != nil {
		return 0, nil, err
	}
	index = mine.Index
	all = append(all, Agreement{Gateway: n.cfg.Gateway, Digest: mine.Digest})
	for _, name := range n.members() {
		if name == n.cfg.Gateway {
			continue
		}
		a := Agreement{Gateway: name}
		var m Mark
		switch err := n.call(ctx, name, "mark", markQuery{id, index}, &m); {
		case err != nil:
			a.Problem = err.Error()
		case m.Index != mine.Index:
			a.Problem = fmt.Sprintf("it has applied up to entry %d, this gateway up to %d: without a quorum they cannot be compared", m.Index, mine.Index)
		case m.Digest != mine.Digest:
			a.Digest, a.Problem = m.Digest, "its state differs: stop it, run quorate rejoin there, and start it again"
		default:
			a.Digest = m.Digest
		}
		all = append(all, a)
	}
	return index, all, nil
}

// mark has every gateway keep its digest at a new entry, and returns the entry's id and this gateway's own; without a
// quorum "" and the digest as it is.
func (n *Node) mark(ctx context.Context) (string, Mark, error) {
	id := rand.Text()
	soon, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if _, _, err := n.submit(soon, markEntry(id)); err != nil {
		m, err := n.fsm.digest()
		return "", m, err
	}
	m, ok := n.fsm.marked(id)
	if !ok {
		return "", m, fmt.Errorf("control: verify: %w: the mark is gone", ErrNoQuorum)
	}
	return id, m, nil
}

// members returns the names of all servers of the group.
func (n *Node) members() []string {
	servers, err := n.servers()
	if err != nil {
		return nil
	}
	var all []string
	for _, s := range servers {
		all = append(all, nameOf(s.ID))
	}
	return all
}

// markHere answers with the digest of this gateway, once it has come that far.
func (n *Node) markHere(ctx context.Context, q markQuery) (Mark, error) {
	if q.ID == "" {
		return n.fsm.digest()
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout-time.Second)
	defer cancel()
	here, forget := n.fsm.reached(q.Index)
	defer forget()
	select {
	case <-here:
	case <-ctx.Done():
		return Mark{}, fmt.Errorf("%w: this gateway has applied up to %d, not %d", ErrNoQuorum, n.fsm.read().index, q.Index)
	}
	m, ok := n.fsm.marked(q.ID)
	if !ok {
		return Mark{}, fmt.Errorf("%w: the mark is in a snapshot here", ErrNoQuorum)
	}
	return m, nil
}
