package host

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/breaker"
	"github.com/quorate/quorate/strategies"
)

// misses is how many health checks in a row end a process. They follow one another without a pause.
const misses = 3

// State is what a host is doing.
type State string

// The states of a host.
const (
	Starting State = "starting"
	Running  State = "running"
	Waiting  State = "waiting" // to start it again
	Stopped  State = "stopped"
)

// Status is a host at one moment.
type Status struct {
	State    State
	Since    time.Time
	PID      int // while running
	Protocol int // the version spoken, while running
	Restarts int // starts after the first, those that failed too
	Breaker  string
	Err      error // why it is not running; nil while it is
}

// Host keeps one plugin running and asks it. Its methods may be called concurrently.
type Host struct {
	cfg     Config
	breaker *breaker.Breaker
	start   func(context.Context) (running, error)
	launch  *launcher
	one     chan struct{} // held by the decision under way
	suspect chan struct{} // a decision was late: look at once

	mu     sync.Mutex // guards what follows; Run writes it
	life   running
	status Status
}

// running is one life, as a host sees it.
type running interface {
	decide(context.Context, strategies.Input) (strategies.Rule, error)
	plan(context.Context, strategies.PlanInput) (strategies.Plan, error)
	store() (strategies.Store, bool)
	check(context.Context) error
	ended() <-chan struct{}
	cause() error
	version() int
	pid() int
	end()
}

func (l *life) pid() int { return l.run.pid() }

// New returns a host that runs nothing yet, or every problem of the configuration.
func New(cfg Config) (*Host, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	b, err := breaker.New(breaker.Config{Consecutive: 3, Volume: 10, OpenFor: 5 * time.Second, OnChange: func(from, to string) {
		cfg.Log.Warn("strategy plugin's breaker changes", "strategy", cfg.Name, "from", from, "to", to)
	}})
	if err != nil {
		return nil, fmt.Errorf("host: %w", err)
	}
	h := &Host{cfg: cfg, breaker: b, one: make(chan struct{}, 1), suspect: make(chan struct{}, 1)}
	h.start = func(ctx context.Context) (running, error) {
		l, err := begin(ctx, cfg, h.launch.run)
		if err != nil {
			return nil, err
		}
		return l, nil
	}
	h.status = Status{State: Stopped, Since: time.Now(), Err: fmt.Errorf("%w: it was not started", ErrDown)}
	return h, nil
}

// Run starts the plugin, and again after every end, until ctx ends; then the plugin has ended too, with everything in
// its process group. It must be called once. It returns nil.
func (h *Host) Run(ctx context.Context) error {
	h.launch = newLauncher()
	defer h.launch.close()
	if n := sweep(h.cfg.Dir); n > 0 {
		h.cfg.Log.Info("folders of killed hosts removed", "strategy", h.cfg.Name, "folders", n)
	}
	p := pace{least: h.cfg.Backoff, most: h.cfg.MaxBackoff}
	for first := true; ctx.Err() == nil; first = false {
		h.enter(Starting, nil, nil, !first)
		began := time.Now()
		err := h.live(ctx)
		if ctx.Err() != nil {
			break
		}
		pause := p.pause(time.Since(began))
		h.cfg.Log.Warn("strategy plugin is down", "strategy", h.cfg.Name, "cause", err, "again_in", pause)
		h.enter(Waiting, nil, err, false)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
	h.enter(Stopped, nil, fmt.Errorf("%w: it was stopped", ErrDown), false)
	return nil
}

// live runs one life and returns why it ended.
func (h *Host) live(ctx context.Context) error {
	l, err := h.start(ctx)
	if err != nil {
		return err
	}
	defer l.end()
	h.enter(Running, l, nil, false)
	h.cfg.Log.Info("strategy plugin is up", "strategy", h.cfg.Name, "pid", l.pid(), "protocol", l.version())
	return h.watch(ctx, l)
}

// watch checks a plugin's health until it ends, hangs or is no longer wanted.
func (h *Host) watch(ctx context.Context, l running) error {
	tick := time.NewTicker(h.cfg.Interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-l.ended():
			return fmt.Errorf("host: it ended: %w", l.cause())
		case <-h.suspect:
		case <-tick.C:
		}
		if err := hung(ctx, l); err != nil {
			return err
		}
	}
}

// hung returns an error if as many checks in a row fail as are needed.
func hung(ctx context.Context, l running) (err error) {
	for range misses {
		if err = l.check(ctx); err == nil {
			return nil
		}
		select {
		case <-l.ended():
			return fmt.Errorf("host: it ended: %w", l.cause())
		default:
		}
	}
	return fmt.Errorf("host: it failed %d health checks: %w", misses, err)
}

// enter publishes a state.
func (h *Host) enter(s State, l running, err error, again bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if again {
		h.status.Restarts++
	}
	h.life = l
	h.status.State, h.status.Since, h.status.Err = s, time.Now(), err
	h.status.PID, h.status.Protocol = 0, 0
	if l != nil {
		h.status.PID, h.status.Protocol = l.pid(), l.version()
	}
}

// Status returns what the host is doing.
func (h *Host) Status() Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.status
	s.Breaker = h.breaker.State()
	return s
}

// Decide asks the plugin for the rule of a valid input, and returns it admitted and in canonical form. It takes no
// longer than Config.Decide and the admission's bounded work. On any error the committed rule stays; the error wraps
// strategies.ErrRefused, ErrDown, ErrLate, ErrFailed or ErrInadmissible, or is that of ctx or of the input.
func (h *Host) Decide(ctx context.Context, in strategies.Input) (strategies.Rule, error) {
	if err := in.Validate(); err != nil {
		return strategies.Rule{}, fmt.Errorf("host: decide: %w", err)
	}
	var r strategies.Rule
	err := h.exclusive(ctx, func(l running) (err error) {
		r, err = l.decide(ctx, in)
		return err
	})
	if err != nil {
		return strategies.Rule{}, err
	}
	return r, nil
}

// exclusive asks one question, while no other is under way.
func (h *Host) exclusive(ctx context.Context, ask func(running) error) error {
	l, err := h.current()
	if err != nil {
		return h.named(err)
	}
	select {
	case h.one <- struct{}{}:
		defer func() { <-h.one }()
	case <-time.After(h.cfg.Decide):
		return h.named(fmt.Errorf("%w: another decision is under way", ErrLate))
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := h.guarded(ctx, func() error { return ask(l) }); err != nil {
		return h.named(err)
	}
	return nil
}

// named says which strategy an error is about.
func (h *Host) named(err error) error { return fmt.Errorf("strategy %s: %w", h.cfg.Name, err) }

// current returns the life that may be asked.
func (h *Host) current() (running, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.life != nil:
		return h.life, nil
	case h.status.Err != nil:
		return nil, fmt.Errorf("%w: %s: %w", ErrDown, h.status.State, h.status.Err)
	}
	return nil, fmt.Errorf("%w: %s", ErrDown, h.status.State)
}

// guarded asks through the breaker.
func (h *Host) guarded(ctx context.Context, ask func() error) error {
	done, err := h.breaker.Allow()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDown, err)
	}
	switch err = ask(); {
	case err == nil, errors.Is(err, strategies.ErrRefused):
		done(breaker.Success)
	case ctx.Err() != nil:
		done(breaker.Ignored)
		return ctx.Err()
	default:
		done(breaker.Failure)
		h.look()
	}
	return err
}

// look has the plugin's health checked at once.
func (h *Host) look() {
	select {
	case h.suspect <- struct{}{}:
	default:
	}
}
