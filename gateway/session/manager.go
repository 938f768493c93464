// Package session keeps the sessions of legacy agents in front of a pool of stateful nodes: it mints
// and maps their ids, moves them off lost nodes, renumbers what nodes ask and number themselves, and
// keeps events for agents that come back. It must not know routing tables, routes, era detection, how
// nodes are found or how connections to them are made.
package session

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/gateway/retry"
	"github.com/quorate/quorate/regions"
)

// Hooks count what happens to sessions and calls. Nil fields are not called; the others must not block.
type Hooks struct {
	Migrated func() // a session went on at another node
	Lost     func() // a session could not go on as it was
	Retried  func() // a call was sent again
	Unknown  func() // a call was answered "outcome unknown"
}

// Config is what a Manager needs for one service.
type Config struct {
	Service      string        // for logs
	IdleTimeout  time.Duration // a session without any request for this long expires; default 30 min
	Sweep        time.Duration // how often that is looked for; default 5 min
	MaxSessions  int           // further ones are refused with -32073; default 100,000
	BufferEvents int           // events kept for resuming, for each stream and for a session's ended streams; default 256
	BufferBytes  int           // bytes of them; default 64 KiB
	KeepAlive    time.Duration // how often an open stream is sent a comment, so that an agent that is gone shows; default 1 min
	Budget       *retry.Budget // of the service; the manager counts its own calls in it
	Logger       *slog.Logger
	Current      func() Pool // of the table in force, for moves that no request asks for
	Adopts       bool        // requests come from other gateways, which may hand sessions over
	Keeper       Keeper      // owns and keeps the sessions; nil: they are this process's alone
	Alone        bool        // there is no other gateway that could go on with the sessions
	Hooks        Hooks
}

func (c *Config) withDefaults() error {
	if c.Budget == nil || c.Logger == nil || c.Current == nil {
		return errors.New("session: new: budget, logger and current are required")
	}
	if c.KeepAlive < 0 || c.IdleTimeout < 0 || c.Sweep < 0 || c.MaxSessions < 0 || c.BufferEvents < 0 || c.BufferBytes < 0 {
		return errors.New("session: new: negative bound")
	}
	setDefault(&c.IdleTimeout, 30*time.Minute)
	setDefault(&c.Sweep, 5*time.Minute)
	setDefault(&c.KeepAlive, time.Minute)
	setDefault(&c.MaxSessions, 100_000)
	setDefault(&c.BufferEvents, 256)
	setDefault(&c.BufferBytes, 64<<10)
	for _, h := range []*func(){&c.Hooks.Migrated, &c.Hooks.Lost, &c.Hooks.Retried, &c.Hooks.Unknown} {
		if *h == nil {
			*h = func() {}
		}
	}
	return nil
}

func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// Manager keeps the sessions of one service. Its methods may be called concurrently.
type Manager struct {
	cfg      Config
	hooks    Hooks
	log      *slog.Logger
	began    time.Time
	awaited  sync.Map // id → chan struct{}, closed when the session is there; see overtaken
	sessions sync.Map // id → *session. Nothing is kept here of a deleted one; whether another gateway has it the keeper knows.
	looks    sync.Map // id → *locating
	looking  atomic.Int64
	count    atomic.Int64
	buffers  sync.Pool // *[]byte of copyBuffer
	moves    chan struct{}
	watch    *watch

	ctx    context.Context
	cancel context.CancelCauseFunc

	gate    sync.RWMutex // held for reading while a call or a goroutine is being counted in
	closing bool         // no new calls
	shut    bool         // no new goroutines
	calls   sync.WaitGroup
	tasks   sync.WaitGroup
}

// New returns a manager that sweeps until Close.
func New(cfg Config) (*Manager, error) {
	if err := cfg.withDefaults(); err != nil {
		return nil, err
	}
	m := &Manager{cfg: cfg, hooks: cfg.Hooks, began: time.Now(), moves: make(chan struct{}, maxMoves)}
	m.log = cfg.Logger.With("service", cfg.Service)
	m.buffers.New = func() any { b := make([]byte, copyBuffer); return &b }
	m.ctx, m.cancel = context.WithCancelCause(context.Background())
	m.watch = newWatch(&m.tasks)
	m.work(m.sweep)
	return m, nil
}

// now is a moment in nanoseconds since the manager began, by the clock that nobody sets: a wall clock that is put
// forward must not make every agent one that has been away.
func (m *Manager) now(t time.Time) int64 { return int64(t.Sub(m.began)) }

// Count returns the number of sessions.
func (m *Manager) Count() int { return int(m.count.Load()) }

// work runs f in a goroutine that Close waits for, reporting false after Close has begun to.
func (m *Manager) work(f func()) bool {
	m.gate.RLock()
	defer m.gate.RUnlock()
	if m.shut {
		return false
	}
	m.tasks.Go(f)
	return true
}

// countIn counts a call in, reporting false after Close has begun.
func (m *Manager) countIn() bool {
	m.gate.RLock()
	defer m.gate.RUnlock()
	if m.closing {
		return false
	}
	m.calls.Add(1)
	m.cfg.Budget.Begin()
	return true
}

// ending reports whether Close has begun.
func (m *Manager) ending() bool {
	m.gate.RLock()
	defer m.gate.RUnlock()
	return m.closing
}

func (m *Manager) countOut() {
	m.cfg.Budget.End()
	m.calls.Done()
}

// Where returns the node that serves the session with that id now; false for an id that is not known.
func (m *Manager) Where(id string) (regions.NodeID, bool) {
	v, ok := m.sessions.Load(id)
	if !ok {
		return "", false
	}
	p := v.(*session).where()
	if p == nil || !p.placed() {
		return "", false
	}
	return p.node.ID(), true
}

// forget takes a session out, reporting false if it was out already.
func (m *Manager) forget(s *session) bool {
	if !m.sessions.CompareAndDelete(s.id, s) {
		return false
	}
	m.count.Add(-1)
	return true
}

// sweep ends idle sessions, and with them what they keep.
func (m *Manager) sweep() {
	ticker := time.NewTicker(m.cfg.Sweep)
	defer ticker.Stop()
	for {
		select {
		case <-m.ctx.Done():
			return
		case now := <-ticker.C:
			m.expire(now)
		}
	}
}
