package strategist

import (
	"context"
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/asked"
	"github.com/quorate/quorate/plugins/host"
	"github.com/quorate/quorate/strategies"
)

// The strategy runs while this gateway leads, and not a moment longer.
func TestRunsWhileItLeads(t *testing.T) {
	s, _ := started(t, plugin(t, "good"))
	if _, err := s.Decide(t.Context(), roster(3)); !errors.Is(err, ErrIdle) {
		t.Errorf("before: %v", err)
	}
	for range 2 {
		s.Lead(true)
		pid := running(t, s)
		if r, err := s.Decide(t.Context(), roster(3)); err != nil || r.String() != "2 of (gw-0, gw-1, gw-2)" {
			t.Errorf("while it leads: %v, %v", r, err)
		}
		s.Lead(false)
		gone(t, pid)
		until(t, func() error {
			if _, err := s.Decide(t.Context(), roster(3)); !errors.Is(err, ErrIdle) {
				return errors.Join(errors.New("after"), err)
			}
			return nil
		})
	}
	if st := s.Status(); st.Leads || st.State != host.Stopped || st.Restarts != 0 || st.Err != nil {
		t.Errorf("%+v", st)
	}
}

// An answer holds for the same input for as long as the process lives.
func TestAnswersHold(t *testing.T) {
	s, _ := started(t, plugin(t, "counts"))
	s.Lead(true)
	pid := running(t, s)
	turned := roster(3)
	slices.Reverse(turned.Roster)
	for _, tc := range []struct {
		in   strategies.Input
		want string
	}{{roster(3), "asked 1 times"}, {roster(3), "asked 1 times"}, {turned, "asked 1 times"}, {roster(4), "asked 2 times"}} {
		if _, err := s.Decide(t.Context(), tc.in); !errors.Is(err, strategies.ErrRefused) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v, want %s", err, tc.want)
		}
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	gone(t, pid)
	until(t, func() error { // another process, which has not been asked yet
		if _, err := s.Decide(t.Context(), roster(4)); err == nil || !strings.Contains(err.Error(), "asked 1 times") {
			return errors.Join(errors.New("after its end"), err)
		}
		return nil
	})
	if st := s.Status(); st.Restarts != 1 || !errors.Is(st.Err, strategies.ErrRefused) {
		t.Errorf("%+v", st)
	}
}

// After a fault the same is not asked again within a second, and the log says once that it is wrong, once that it is
// right again.
func TestFaultsAreAskedAgain(t *testing.T) {
	s, log := started(t, plugin(t, "fails first"))
	s.Lead(true)
	running(t, s)
	began, calls := time.Now(), 0
	until(t, func() error {
		calls++
		_, err := s.Decide(t.Context(), roster(3))
		return err
	})
	if took := time.Since(began); took < asked.Again || calls < 10 {
		t.Errorf("asked again after %s, in %d calls", took, calls)
	}
	if bad, good := log.With("the committed rule stays"), log.With("decides again"); len(bad) != 1 || len(good) != 1 || !strings.Contains(bad[0], "not yet") {
		t.Errorf("log: %q", log)
	}
}

func TestFaults(t *testing.T) {
	for _, tc := range []struct {
		kind string
		want error
	}{{"hangs", host.ErrLate}, {"crashes", host.ErrFailed}, {"two sides", host.ErrInadmissible}} {
		t.Run(tc.kind, func(t *testing.T) {
			cfg := plugin(t, tc.kind)
			cfg.Decide = 200 * time.Millisecond
			s, log := started(t, cfg)
			s.Lead(true)
			running(t, s)
			if _, err := s.Decide(t.Context(), roster(3)); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
			if err := s.Status().Err; err == nil {
				t.Error("the status is good")
			}
			for range 20 {
				if _, err := s.Decide(t.Context(), roster(3)); err == nil {
					t.Error("a rule")
				}
			}
			if n := len(log.With("the committed rule stays")); n != 1 {
				t.Errorf("%d lines: %q", n, log)
			}
		})
	}
}

// A strategy whose program is not the configured one is never run, which the log says once.
func TestWrongChecksum(t *testing.T) {
	cfg := plugin(t, "good")
	cfg.SHA256 = strings.Repeat("00", 32)
	s, log := started(t, cfg)
	s.Lead(true)
	until(t, func() error {
		if err := s.Status().Err; !errors.Is(err, host.ErrChecksum) {
			return errors.Join(errors.New("status"), err)
		}
		return nil
	})
	until(t, func() error {
		_, err := s.Decide(t.Context(), roster(3))
		if !errors.Is(err, host.ErrDown) {
			t.Errorf("decides: %v", err)
		}
		if len(log.With("checksum does not match")) != 1 {
			return errors.New("no line says it")
		}
		return nil
	})
}

// A caller that gives up learns so, and nothing is held against the strategy.
func TestCallerGivesUp(t *testing.T) {
	s, log := started(t, plugin(t, "good"))
	s.Lead(true)
	running(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Decide(ctx, roster(3)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := s.Decide(t.Context(), roster(3)); err != nil || len(log.With("stays")) != 0 {
		t.Errorf("then %v, log %q", err, log)
	}
}

func TestUse(t *testing.T) {
	s, _ := started(t, plugin(t, "counts"))
	s.Lead(true)
	pid := running(t, s)
	if err := s.Use(host.Config{Name: "nothing"}); err == nil {
		t.Error("a strategy without a program is used")
	}
	if err := s.Use(plugin(t, "good")); err != nil {
		t.Fatal(err)
	}
	gone(t, pid)
	until(t, func() error {
		_, err := s.Decide(t.Context(), roster(3))
		return err
	})
	if st := s.Status(); st.Strategy != "good" || st.Err != nil {
		t.Errorf("%+v", st)
	}
}

func TestNewRefuses(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("no strategy is one")
	}
}
