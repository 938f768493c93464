package control

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/quorate/quorate/internal/poll"
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
	poll.True(t, 5*time.Millisecond, 10*time.Second, what, ok)
}
