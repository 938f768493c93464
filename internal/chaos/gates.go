package chaos

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/chaos/fleet"
	"github.com/quorate/quorate/internal/chaos/history"
	"github.com/quorate/quorate/strategies"
)

// listening is how often the control group is asked for its promise, which bounds the leases of gateways that have no
// bound of their own. It grows with the round trips and shrinks again.
const listening = 500 * time.Millisecond

// sampling is how often a gateway is asked whether its gate is open. Only the picture is made of it.
const sampling = 50 * time.Millisecond

// gates asks every gateway for its gate until it is stopped.
type gates struct {
	end  context.CancelFunc
	work sync.WaitGroup
	mu   sync.Mutex
	seen []history.Sample
	said time.Duration // the longest promise
	lags []history.Lag
}

// watch begins; lags: the gateways are asked for the lag of their copies, too.
func watch(f *fleet.Fleet, clock func() time.Duration, lags bool) *gates {
	ctx, end := context.WithCancel(context.Background())
	g := &gates{end: end}
	for _, m := range f.Members() {
		if m.Role != strategies.Witness {
			g.work.Go(func() { g.watch(ctx, m, clock) })
			if lags {
				g.work.Go(func() { g.lag(ctx, m, clock) })
			}
		}
	}
	g.work.Go(func() { g.listen(ctx, f) })
	return g
}

func (g *gates) listen(ctx context.Context, f *fleet.Fleet) {
	every(ctx, listening, func() {
		said := f.Cluster(ctx).Promise
		g.mu.Lock()
		g.said = max(g.said, said)
		g.mu.Unlock()
	})
}

func (g *gates) watch(ctx context.Context, m *fleet.Member, clock func() time.Duration) {
	door := m.Door()
	defer door.Close()
	every(ctx, sampling, func() {
		status, err := door.Ask(ctx, http.MethodGet, "/writez", nil, nil)
		if err != nil {
			status = 0
		}
		g.mu.Lock()
		g.seen = append(g.seen, history.Sample{Gateway: m.Name, At: clock(), Open: status == http.StatusOK})
		g.mu.Unlock()
	})
}

// stop ends the questions and returns the answers: samples, and the longest promise.
func (g *gates) stop() ([]history.Sample, time.Duration) {
	g.end()
	g.work.Wait()
	return slices.Clip(g.seen), g.said
}

// lagging is how often a gateway is asked for the lag of its copies.
const lagging = 250 * time.Millisecond

func (g *gates) lag(ctx context.Context, m *fleet.Member, clock func() time.Duration) {
	door := m.Door()
	defer door.Close()
	every(ctx, lagging, func() {
		if d, err := door.Lag(ctx); err == nil {
			g.mu.Lock()
			g.lags = append(g.lags, history.Lag{Gateway: m.Name, At: clock(), Lag: d})
			g.mu.Unlock()
		}
	})
}

// every asks once in each interval until ctx ends.
func every(ctx context.Context, interval time.Duration, ask func()) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			ask()
		case <-ctx.Done():
			return
		}
	}
}
