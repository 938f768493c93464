package strategist

import (
	"errors"
	"time"

	"github.com/quorate/quorate/plugins/host"
)

// Status is a strategy at one moment.
type Status struct {
	Strategy string
	Leads    bool       // else nothing runs and the rest is zero, but for Restarts
	State    host.State // of the process
	Since    time.Time  // when it came to that
	PID      int        // while it runs
	Protocol int        // the version spoken, while it runs
	Restarts int        // after an end that was not wanted, over all terms of leading
	Breaker  string
	Err      error // why it does not decide: that of the process, else of the last decision; nil while it does
}

// Status returns what the strategy is doing.
func (s *Strategist) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := Status{Strategy: s.plugin.Name, Leads: s.leads, State: host.Stopped, Restarts: s.past}
	if s.host == nil {
		return out
	}
	h := s.host.Status()
	out.State, out.Since, out.PID, out.Protocol, out.Breaker = h.State, h.Since, h.PID, h.Protocol, h.Breaker
	out.Restarts += h.Restarts
	out.Err = h.Err
	if out.Err == nil {
		out.Err = s.err
	}
	return out
}

// note keeps the outcome of a decision, and logs it where it is another than before.
func (s *Strategist) note(h *host.Host, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.host != h {
		return // of a term that is over
	}
	s.err = err
	if errors.Is(err, host.ErrDown) && (s.problem != "" || h.Status().State == host.Starting) {
		return // it follows from what was logged, or it has not had its time yet
	}
	problem := host.Problem(err)
	switch problem {
	case s.problem:
		return
	case "":
		s.log.Info("strategy decides again", "strategy", s.plugin.Name)
	default:
		s.log.Warn("strategy does not decide, the committed rule stays", "strategy", s.plugin.Name, "cause", err)
	}
	s.problem = problem
}
