package edge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/quorate/quorate/internal/admin"
	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/control"
	"github.com/quorate/quorate/internal/keeper"
	"github.com/quorate/quorate/internal/ledger"
	"github.com/quorate/quorate/internal/regional"
	"github.com/quorate/quorate/internal/settings"
)

// Part is a piece of the replicated state besides authority. Its methods are called by one goroutine. An error of
// Apply means that the entry is refused, with nothing changed, at every gateway alike.
type Part interface {
	Apply(index uint64, command []byte) (result []byte, err error)
	Snapshot() ([]byte, error)
	Restore(snapshot []byte) error
}

// Proposer is the control group as the parts of its state need it.
type Proposer interface {
	// Propose returns once the command was applied by the part here, with the entry's index and the part's answer.
	// An error is that of the part, which refused, or says that the group cannot commit now.
	Propose(ctx context.Context, part string, command []byte) (index uint64, result []byte, err error)
}

// orderBound is how long the group may take to agree on an order.
const orderBound = 10 * time.Second

// groupPart is a part whose errors about newer releases are the group's own, at which it stops applying.
type groupPart struct{ Part }

// Apply implements Part.
func (p groupPart) Apply(index uint64, command []byte) ([]byte, error) {
	result, err := p.Part.Apply(index, command)
	return result, asNewer(err)
}

// Restore implements Part.
func (p groupPart) Restore(snapshot []byte) error { return asNewer(p.Part.Restore(snapshot)) }

func asNewer(err error) error {
	if errors.Is(err, settings.ErrNewer) || errors.Is(err, regional.ErrNewer) || errors.Is(err, keeper.ErrNewer) || errors.Is(err, ledger.ErrNewer) {
		return fmt.Errorf("%w: %w", authority.ErrNewer, err)
	}
	return err
}

// openGroup opens the control group over the parts that this gateway has in it.
func (e *Edge) openGroup(*config.Config) (err error) {
	if e.opts.Group == nil {
		e.group = e.gate.node
		return nil
	}
	e.group, err = e.opts.Group(map[string]Part{settings.PartName: groupPart{e.documents.part}, regional.PartName: groupPart{e.orders}, ledger.PartName: groupPart{e.keys.part}})
	return err
}

// propose has the group agree on a command. What is no part's refusal becomes an error that the admin API knows.
func (e *Edge) propose(ctx context.Context, part string, command []byte) (uint64, []byte, error) {
	index, result, err := e.group.Propose(ctx, part, command)
	switch {
	case err == nil, errors.Is(err, settings.ErrRefused), errors.Is(err, regional.ErrRefused), errors.Is(err, control.ErrRefused):
		return index, result, err
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return 0, nil, fmt.Errorf("%w: %w", admin.ErrUnknownOutcome, err)
	}
	return 0, nil, fmt.Errorf("%w: %w", admin.ErrNoQuorum, err)
}

// proposeOrder has the group agree on an order.
func (e *Edge) proposeOrder(command []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), orderBound)
	defer cancel()
	_, _, err := e.propose(ctx, regional.PartName, command)
	return err
}
