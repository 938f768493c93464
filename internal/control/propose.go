package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/internal/authority"
)

// Patience is how long Propose waits where its context has no deadline.
const Patience = 10 * time.Second

// proposed is the answer to a proposal: where it is in the log and what became of it.
type proposed struct {
	Index   uint64 `json:"index"`
	Result  []byte `json:"result,omitempty"`
	Refused string `json:"refused,omitempty"`
}

// Propose has a command of a part committed, and returns when it is applied here, with where it is in the log and
// what the part answered. An error of the part itself wraps ErrRefused. ErrNoQuorum: this gateway may not write now,
// nobody leads, or whether the command was committed is not known. It needs an open gate and a commit.
func (n *Node) Propose(ctx context.Context, part string, command []byte) (index uint64, result []byte, err error) {
	if !n.lease.Allow() && !n.witness() {
		return 0, nil, fmt.Errorf("control: propose: %w: this gateway may not write now", ErrNoQuorum)
	}
	entry, err := partEntry(part, command)
	if err != nil {
		return 0, nil, fmt.Errorf("control: propose: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	return n.submit(ctx, entry)
}

// submit has an entry committed and applied here.
func (n *Node) submit(ctx context.Context, entry []byte) (uint64, []byte, error) {
	var p proposed
	err := n.toLeader(ctx, "propose", entry, &p, func() (any, error) { return n.propose(ctx, entry) })
	if err != nil {
		return 0, nil, err
	}
	here, forget := n.fsm.reached(p.Index)
	defer forget()
	select {
	case <-here:
	case <-ctx.Done():
		return p.Index, nil, fmt.Errorf("control: propose: %w: committed, and not applied here yet", ErrNoQuorum)
	}
	if stuck := n.fsm.read().stuck; stuck != nil {
		return p.Index, nil, fmt.Errorf("control: propose: %w: committed, and not applied here: %w", ErrNoQuorum, stuck)
	}
	if p.Refused != "" {
		return p.Index, nil, fmt.Errorf("%w: %s", ErrRefused, p.Refused)
	}
	return p.Index, p.Result, nil
}

// propose is the leader's half of submit. What this release cannot read never gets into the log.
func (n *Node) propose(ctx context.Context, entry []byte) (proposed, error) {
	if err := n.readable(entry); err != nil {
		return proposed{}, err
	}
	r := n.current()
	if r == nil || r.State() != raft.Leader {
		return proposed{}, errNotLeader
	}
	wait := Patience
	if until, ok := ctx.Deadline(); ok {
		wait = time.Until(until)
	}
	f := r.Apply(entry, wait)
	if err := f.Error(); err != nil {
		if errors.Is(err, raft.ErrNotLeader) || errors.Is(err, raft.ErrLeadershipTransferInProgress) {
			return proposed{}, errNotLeader // it is not in the log
		}
		return proposed{}, ended(err)
	}
	o, ok := f.Response().(outcome)
	if !ok {
		return proposed{}, fmt.Errorf("%w: %v", ErrNoQuorum, f.Response())
	}
	if errors.Is(o.err, authority.ErrNewer) { // others may well have applied it
		return proposed{}, ended(o.err)
	}
	p := proposed{Index: f.Index(), Result: o.result}
	if o.err != nil {
		p.Refused = o.err.Error()
	}
	return p, nil
}

// readable refuses what would stop those who apply it.
func (n *Node) readable(entry []byte) error {
	if len(entry) < 1 || len(entry) > maxEntry {
		return fmt.Errorf("%w: an entry of %d bytes", ErrRefused, len(entry))
	}
	switch entry[0] {
	case entryAuthority:
		if _, err := authority.Decode(entry[1:]); err != nil {
			return fmt.Errorf("%w: %w", ErrRefused, err)
		}
		return nil
	case entryPart:
		name, _, err := splitPart(entry[1:])
		if err != nil {
			return fmt.Errorf("%w: %w", ErrRefused, err)
		}
		if n.cfg.Parts[name] == nil {
			return fmt.Errorf("%w: no part %.40q in this release", ErrRefused, name)
		}
		return nil
	case entryMark:
		return nil
	case entryLoad:
		s, err := unpack(entry[1:])
		if err == nil {
			err = n.fsm.holds(s.Parts)
		}
		return err
	}
	return fmt.Errorf("%w: no entry of kind %d in this release", ErrRefused, entry[0])
}

// command has a command of authority committed.
func (n *Node) command(ctx context.Context, c authority.Command) error {
	entry, err := authorityEntry(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	_, _, err = n.submit(ctx, entry)
	return err
}
