package strategist

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/quorate/quorate/internal/badplugin"
	"github.com/quorate/quorate/internal/beside"
	"github.com/quorate/quorate/internal/child"
	"github.com/quorate/quorate/internal/logbook"
	"github.com/quorate/quorate/internal/poll"
	"github.com/quorate/quorate/plugins"
	"github.com/quorate/quorate/plugins/host"
	"github.com/quorate/quorate/strategies"
	"github.com/quorate/quorate/strategies/winnertakesall"
)

// TestMain makes the test binary a plugin of many kinds: environments are stripped, so arguments say which.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "plugin" {
		plugins.Serve(decider(os.Args[2]))
		return
	}
	goleak.VerifyTestMain(m)
}

// decider decides as the kind says. Serve does not call it concurrently here: the strategist asks one at a time.
func decider(kind string) strategies.Func {
	asked := 0
	return func(in strategies.Input) (strategies.Rule, error) {
		asked++
		switch {
		case kind == "counts":
			return strategies.Rule{}, strategies.Refuse("asked %d times", asked)
		case kind == "fails first" && asked == 1:
			return strategies.Rule{}, errors.New("not yet")
		case kind == "hangs", kind == "crashes", kind == "two sides":
			return badplugin.Decide(kind, in)
		}
		return winnertakesall.Rule(in)
	}
}

// plugin is one of the kind, with the pace of a test.
func plugin(t *testing.T, kind string) host.Config {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	sum, err := host.Checksum(self)
	if err != nil {
		t.Fatal(err)
	}
	return host.Config{
		Name: kind, Path: self, Args: []string{"plugin", kind}, SHA256: sum, Dir: t.TempDir(),
		Interval: 100 * time.Millisecond, Backoff: 10 * time.Millisecond, MaxBackoff: 20 * time.Millisecond,
		Decide: 2 * time.Second, // tests of other things than time run on a busy machine
	}
}

// started returns a strategist that runs until the test ends, and its log. It does not lead yet.
func started(t *testing.T, cfg host.Config) (*Strategist, *logbook.Book) {
	t.Helper()
	log := &logbook.Book{}
	s, err := New(Config{Plugin: cfg, Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	beside.Run(t, s.Run)
	return s, log
}

// running waits until the process of the strategy runs, and returns its id.
func running(t *testing.T, s *Strategist) int {
	t.Helper()
	until(t, func() error {
		if st := s.Status(); st.State != host.Running {
			return fmt.Errorf("%s: %w", st.State, st.Err)
		}
		return nil
	})
	return s.Status().PID
}

// until polls what only the kernel or another process knows.
func until(t *testing.T, ok func() error) {
	t.Helper()
	poll.Nil(t, 2*time.Millisecond, 20*time.Second, ok)
}

// gone waits until a process has ended.
func gone(t *testing.T, pid int) {
	t.Helper()
	until(t, func() error {
		if child.Alive(pid) {
			return fmt.Errorf("process %d runs", pid)
		}
		return nil
	})
}

// roster has this many voters.
func roster(voters int) strategies.Input {
	var r strategies.Roster
	for i := range voters {
		r = append(r, strategies.Gateway{Name: fmt.Sprint("gw-", i), Region: fmt.Sprint("r", i), Role: strategies.Voter, JoinIndex: uint64(i + 1)})
	}
	return strategies.Input{Roster: r}
}
