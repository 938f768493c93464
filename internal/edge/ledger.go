package edge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/control"
	"github.com/quorate/quorate/internal/ledger"
	"github.com/quorate/quorate/internal/telemetry"
)

// keys is this gateway's way to the fleet's ledger, and its part of the replicated state.
type keys struct {
	*ledger.Ledger
	part *ledger.Part
}

// openLedger makes the ledger. It asks the control group, which is opened after it, only when a key comes.
func (e *Edge) openLedger() (err error) {
	k := &keys{part: ledger.NewPart()}
	k.Ledger, err = ledger.New(ledger.Config{
		Part:    k.part,
		Propose: e.proposeKeys,
		Life:    func() authority.Life { return e.gate.node.Life() },
		Ended:   func(l authority.Life) bool { return e.gate.node.Ended(l) },
		Ready:   func(ctx context.Context) bool { return e.gate.node.AllRead(ctx, ledger.PartName) },
		Clock:   e.clock,
		Logger:  e.log,
	})
	e.keys = k
	return err
}

// clock is what the fleet takes the time for, and whether it has agreed on that.
func (e *Edge) clock() (time.Time, bool) { return e.gate.node.Clock() }

// proposeKeys has the group agree on a command of the ledger.
func (e *Edge) proposeKeys(ctx context.Context, command []byte) ([]byte, error) {
	_, result, err := e.group.Propose(ctx, ledger.PartName, command)
	if errors.Is(err, control.ErrRefused) {
		return nil, fmt.Errorf("%w: %w", ledger.ErrRefused, err)
	}
	return result, err
}

// closeLedger commits the outcomes that are still on their way.
func (e *Edge) closeLedger(ctx context.Context) {
	if e.keys != nil && e.keys.Ledger != nil {
		e.keys.Close(ctx)
	}
}

// observeLedger makes the ledger's figures readable at a scrape.
func (e *Edge) observeLedger() error {
	t := e.opts.Telemetry
	return errors.Join(
		t.Observe(telemetry.LedgerKeys, func(emit telemetry.Emit) {
			f := e.keys.Figures()
			emit(float64(f.Entries-f.Open-f.Unknown), "known")
			emit(float64(f.Open), "open")
			emit(float64(f.Unknown), "unknown")
		}),
		t.Observe(telemetry.LedgerBytes, func(emit telemetry.Emit) { emit(float64(e.keys.Figures().Bytes)) }),
	)
}
