package control

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/quorate/quorate/strategies"
	"github.com/quorate/quorate/strategies/winnertakesall"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func majority(_ context.Context, in strategies.Input) (strategies.Rule, error) {
	return winnertakesall.Rule(in)
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); !ok(); <-tick.C {
		if time.Since(began) > 10*time.Second {
			t.Fatal("not in time: " + what)
		}
	}
}
