// Package strategist keeps the configured split-brain strategy running while this gateway leads, and asks it. It must
// not know Raft, how the roster is made or which rule is committed: where it returns an error, that rule stays.
package strategist

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/asked"
	"github.com/quorate/quorate/plugins/host"
	"github.com/quorate/quorate/strategies"
)

// ErrIdle says that this gateway does not lead, so it runs no strategy.
var ErrIdle = errors.New("strategist: this gateway does not lead")

// Config is a strategy and how it is run.
type Config struct {
	// Plugin is its process; see host.Builtin for a strategy that comes with this program.
	Plugin host.Config
	// Log gets one line per change of what is wrong; default: none.
	Log *slog.Logger
}

// Strategist runs one strategy. Its methods may be called concurrently.
type Strategist struct {
	log *slog.Logger

	asking sync.Mutex // held by the one decision under way; guards last
	last   answer

	mu      sync.Mutex // guards what follows
	plugin  host.Config
	leads   bool
	changed chan struct{} // closed, and replaced, when leads or plugin changes
	host    *host.Host    // nil while nothing is to run
	past    int           // restarts in earlier terms
	problem string        // that was logged last; "": the strategy decides
	err     error         // of the last decision
}

// New returns a strategist that runs nothing yet, or every problem of the configuration.
func New(cfg Config) (*Strategist, error) {
	if _, err := host.New(cfg.Plugin); err != nil {
		return nil, fmt.Errorf("strategist: %w", err)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Strategist{log: cfg.Log, plugin: cfg.Plugin, changed: make(chan struct{})}, nil
}

// Lead says whether this gateway leads. It does not wait: Run starts and ends the process.
func (s *Strategist) Lead(leads bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leads == leads {
		return
	}
	s.leads = leads
	s.wake()
}

// Use puts another strategy in the place of the one that is run. On an error, that of its configuration, the old one
// stays.
func (s *Strategist) Use(plugin host.Config) error {
	if _, err := host.New(plugin); err != nil {
		return fmt.Errorf("strategist: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plugin = plugin
	s.wake()
	return nil
}

// wake tells Run of a change; mu is held.
func (s *Strategist) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Run keeps the process running while this gateway leads, until ctx ends; then it has ended too. It must be called
// once. It returns nil.
func (s *Strategist) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		plugin, leads, changed := s.wanted()
		if leads {
			s.term(ctx, plugin, changed)
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
	return nil
}

func (s *Strategist) wanted() (host.Config, bool, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.plugin, s.leads, s.changed
}

// term runs the process until something changes.
func (s *Strategist) term(ctx context.Context, plugin host.Config, changed <-chan struct{}) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	h, err := host.New(plugin)
	if err != nil { // New and Use have checked it
		s.log.Error("strategy cannot run", "strategy", plugin.Name, "cause", err)
		<-ctx.Done()
		return
	}
	s.enter(h)
	defer s.enter(nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = h.Run(ctx) // returns nil
	}()
	select {
	case <-changed:
	case <-ctx.Done():
	}
	cancel()
	<-done
}

// enter puts a host, or none, in the place of the last.
func (s *Strategist) enter(h *host.Host) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h == nil {
		s.past += s.host.Status().Restarts
	}
	s.host, s.problem, s.err = h, "", nil
}

// Decide asks the strategy for the rule of an input, within the 50 ms that a decision may take and the bounded work of
// its admission; a second caller waits for the first. An answer, be it a rule or a refusal, holds for the same input as
// long as the process lives, and after a fault the same is not asked again within a second. On any error the committed
// rule stays; it wraps ErrIdle, or is one of host.Host.Decide.
func (s *Strategist) Decide(ctx context.Context, in strategies.Input) (strategies.Rule, error) {
	s.asking.Lock()
	defer s.asking.Unlock()
	h, life, err := s.current()
	if err != nil {
		return strategies.Rule{}, err
	}
	key, now := keyOf(in), time.Now()
	if !s.last.Holds(key, life, now) {
		rule, err := h.Decide(ctx, in)
		if ctx.Err() != nil && err != nil {
			return strategies.Rule{}, err // the caller gave up, which says nothing of the strategy
		}
		s.last = answer{asked.Answer[*host.Host]{Key: key, Life: life, At: now, Err: err}, rule}
		s.note(h, err)
	}
	return s.last.rule, s.last.Err
}

// current returns the host and the life that its answers are of.
func (s *Strategist) current() (*host.Host, asked.Life[*host.Host], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.host == nil {
		return nil, asked.Life[*host.Host]{}, ErrIdle
	}
	return s.host, asked.LifeOf(s.host, s.host.Status()), nil
}
