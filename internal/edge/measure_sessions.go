package edge

import (
	"errors"
	"time"

	"github.com/quorate/quorate/internal/keeper"
	"github.com/quorate/quorate/internal/telemetry"
)

// observeSessions makes the figures of sessions that outlive their gateway readable at a scrape.
func (e *Edge) observeSessions() error {
	k, t := e.sessions, e.opts.Telemetry
	if k.store == nil {
		return nil
	}
	count := func(name string, value func(keeper.Figures) uint64) error {
		return t.Observe(name, func(emit telemetry.Emit) { emit(float64(value(k.keeper.Figures()))) })
	}
	return errors.Join(
		t.Observe(telemetry.SessionLag, func(emit telemetry.Emit) {
			_, waiting := k.keeper.Waiting()
			emit(float64(max(k.store.Lag(), waiting)) / float64(time.Millisecond))
		}),
		t.Observe(telemetry.SessionCopies, func(emit telemetry.Emit) {
			for state, n := range k.store.Counts() {
				emit(float64(n), string(state))
			}
		}),
		count(telemetry.SessionClaims, func(f keeper.Figures) uint64 { return f.Claims }),
		count(telemetry.SessionRelays, func(f keeper.Figures) uint64 { return f.Relays }),
		count(telemetry.SessionReleases, func(f keeper.Figures) uint64 { return f.Released }),
		count(telemetry.SessionHints, func(f keeper.Figures) uint64 { return f.Hinted }),
		count(telemetry.SessionUnheard, func(f keeper.Figures) uint64 { return f.Unheard }),
		count(telemetry.SessionGone, func(f keeper.Figures) uint64 { return f.Lost }),
		count(telemetry.SessionDropped, func(f keeper.Figures) uint64 { return f.Dropped }),
	)
}
