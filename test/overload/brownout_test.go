package overload

import (
	"testing"
	"time"
)

// attemptsBar is how many requests may reach the nodes for each that agents make.
const attemptsBar = 1.2

// noBreakers are breakers that never open, so that the budget alone stands between a brownout and a storm.
const noBreakers = "    breaker: {consecutive: 100000, min_calls: 100000}\n"

// When all nodes of a region answer 503, retries do not multiply the load. Health checks are counted apart; where
// the budget is alone they go on to succeed, so that verification does not take the nodes out of its hands either.
func TestBrownout(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("brownout seed %d", seed)
	b := binary(t)
	for _, tc := range []struct {
		name, service string
		down          bool // checks fail too
		within        bool
		least         float64 // of the ratio, so that the bar is not met by doing nothing
	}{
		{"as shipped", "", true, true, 0},
		{"budget alone", "    retry: {budget_percent: 20, budget_min: 0}\n" + noBreakers, false, true, 1.02},
		{"control: no budget", "    retry: {budget_percent: 100, budget_min: 1000}\n" + noBreakers, false, false, 1.5},
	} {
		t.Run(tc.name, func(t *testing.T) {
			requests, attempts, checks := brownout(t, b, tc.service, tc.down, seed)
			ratio := float64(attempts) / float64(max(requests, 1))
			t.Logf("brownout attempts/requests %-18s %d/%d = %.3f (bar %.1f); checks and probes %d, apart", tc.name, attempts, requests, ratio, attemptsBar, checks)
			if (ratio <= attemptsBar) != tc.within || ratio < tc.least || attempts == 0 {
				t.Errorf("%.3f attempts for each request", ratio)
			}
		})
	}
}

// brownout makes calls at half of the pool's capacity while every node answers 503, but for a short time at first.
// That is counted too: a retry that it left in the budget may be spent later.
func brownout(t *testing.T, binary, service string, down bool, seed uint64) (requests, attempts, checks int) {
	t.Helper()
	w := Start(t, binary, classes, service+routes)
	l := newLoad(w.Gateway.URL(), seed)
	defer l.Wait()
	well := l.Run(t.Context(), time.Second/4, capacity/8, capacity/8)
	l.Wait()
	for _, n := range w.Nodes {
		n.broken.Store(true)
		n.down.Store(down)
	}
	brown := l.Run(t.Context(), 2500*time.Millisecond, capacity/4, capacity/4)
	l.Wait()
	s := l.Of(brown, "")
	if n := s.Share(Answered); n > 0 {
		t.Errorf("%.2f of the calls were answered in a brownout", n)
	}
	attempts, checks = w.Counts()
	return len(l.Of(well, "")) + len(s), attempts, checks
}
