package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/quorate/quorate/regions"
)

const (
	// MaxSources bounds the sources of one service.
	MaxSources = 64
	// spacing is the least time between two signals of Changed: a table is built at most ten times a second.
	spacing = 100 * time.Millisecond
)

// Errors that Set's error wraps.
var (
	ErrBadSources = errors.New("invalid sources")
	ErrClosed     = errors.New("closed")
)

// Supervised is a source with its name.
type Supervised struct {
	ID
	Source Source
}

// Config says what a Group runs. The zero value of every field but Service and Logger stands for its default.
type Config struct {
	Service string // required
	Sources []Supervised
	Keeper  KeeperConfig
	// Restored is a set from disk that serves until the sources have spoken.
	Restored []Restored
	// Failing says whether a node fails verification and since when (see Keeper.Expire); nil: none does. It is called
	// with the Group locked, so it must not call the Group.
	Failing func(regions.NodeID) (since time.Time, failing bool)
	Logger  *slog.Logger // required

	random func() float64 // uniform in [0,1); tests make it constant
}

// Group runs the sources of one service, each in a goroutine of its own, and joins what they say. Its methods may be
// called at any time from anywhere.
type Group struct {
	cfg     Config
	changed chan struct{} // cap 1, for the outside
	dirty   chan struct{} // cap 1: changed is to be signalled
	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex
	keeper  *Keeper
	runners []*runner // in configured order
	closed  bool
}

// NewGroup starts a Group, or returns every problem of cfg at once.
func NewGroup(cfg Config) (*Group, error) {
	if cfg.random == nil {
		cfg.random = rand.Float64
	}
	problems := []error{problem(cfg.Service == "", "service is required"), problem(cfg.Logger == nil, "logger is required"),
		problem(cfg.Keeper.MaxNodes < 0, "max nodes %d is negative", cfg.Keeper.MaxNodes),
		problem(cfg.Keeper.Bound < 0, "bound %s is negative", cfg.Keeper.Bound), checkSources(cfg.Sources)}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("discovery: new group: %w", err)
	}
	g := &Group{cfg: cfg, changed: make(chan struct{}, 1), dirty: make(chan struct{}, 1), keeper: NewKeeper(cfg.Keeper)}
	g.cfg.Logger = cfg.Logger.With("service", cfg.Service)
	g.ctx, g.stop = context.WithCancel(context.Background())
	news := g.replace(cfg.Sources, cfg.Restored)
	g.cfg.Restored = nil
	g.tell(news)
	g.running.Go(g.pulse)
	return g, nil
}

// problem returns the problem if there is one.
func problem(is bool, format string, args ...any) error {
	if is {
		return fmt.Errorf(format, args...)
	}
	return nil
}

func checkSources(all []Supervised) error {
	problems := []error{problem(len(all) > MaxSources, "%w: %d of them, at most %d", ErrBadSources, len(all), MaxSources)}
	names := map[string]bool{Disk: true, Retired: true}
	for _, s := range all {
		problems = append(problems, problem(s.Name == "" || len(s.Name) > maxName, "%w: the name %q is not 1..%d bytes", ErrBadSources, s.Name, maxName),
			problem(names[s.Name], "%w: the name %q is taken", ErrBadSources, s.Name),
			problem(s.Source == nil, "%w: %q is none", ErrBadSources, s.Name))
		names[s.Name] = true
	}
	return errors.Join(problems...)
}

// Set replaces the sources, as Keeper.Configure does. One whose ID is in use goes on as it is, and what was given for
// it now is not used. On an error, which wraps ErrBadSources or ErrClosed, nothing changes.
func (g *Group) Set(sources []Supervised) error {
	if err := checkSources(sources); err != nil {
		return fmt.Errorf("discovery: set: %w", err)
	}
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return fmt.Errorf("discovery: set: %w", ErrClosed)
	}
	news := g.replace(sources, nil)
	g.mu.Unlock()
	g.tell(news)
	return nil
}

// replace ends, keeps and starts sources. g.mu is held, or g is not shared yet.
func (g *Group) replace(sources []Supervised, restored []Restored) (news []News) {
	now, before := time.Now(), make(map[ID]*runner, len(g.runners))
	for _, r := range g.runners {
		before[r.ID] = r
	}
	g.runners = make([]*runner, 0, len(sources))
	ids := make([]ID, 0, len(sources))
	var fresh []*runner
	for _, s := range sources {
		r := before[s.ID]
		if delete(before, s.ID); r == nil {
			r = &runner{Supervised: s}
			fresh = append(fresh, r)
		}
		g.runners, ids = append(g.runners, r), append(ids, s.ID)
	}
	for _, r := range before {
		r.gone = true
		r.end()
	}
	news = g.note(g.keeper.Configure(now, ids))
	if len(restored) > 0 {
		news = append(news, g.note(g.keeper.Restore(now, restored))...)
	}
	for _, r := range fresh {
		g.start(r)
	}
	return news
}

// Nodes returns the joined set, by id. The slice is shared: nobody may write to it.
func (g *Group) Nodes() []regions.Proposal {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.keeper.Nodes()
}

// Changed signals that Nodes differs, at most once per 100 ms, the first time at once. It holds one signal.
func (g *Group) Changed() <-chan struct{} { return g.changed }

// Status returns what there is to show; for many nodes it takes a while.
func (g *Group) Status() Status {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.keeper.Status()
	g.count(s.Sources)
	return s
}

// Sources returns how the sources are, which is quick.
func (g *Group) Sources() []SourceStatus {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.keeper.Sources()
	g.count(s)
	return s
}

func (g *Group) count(all []SourceStatus) {
	for i, r := range g.runners {
		all[i].Restarts = r.restarts
	}
}

// Close ends all sources and waits for them. Nodes stays what it is.
func (g *Group) Close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.stop()
	g.running.Wait()
}

// take has an answer of a source that still counts taken in.
func (g *Group) take(r *runner, a Answer) {
	g.tell(g.locked(func() Outcome {
		if g.closed || r.gone {
			return Outcome{}
		}
		return g.keeper.Take(time.Now(), r.Name, a)
	}))
}

func (g *Group) expire() {
	if g.cfg.Failing != nil {
		g.tell(g.locked(func() Outcome { return g.keeper.Expire(time.Now(), g.cfg.Failing) }))
	}
}

// locked does something with the Keeper; it unlocks also when that panics, so that one source's evil costs one source.
func (g *Group) locked(do func() Outcome) []News {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.note(do())
}

// note remembers that there is a change to signal.
func (g *Group) note(o Outcome) []News {
	if o.Changed {
		signal(g.dirty)
	}
	return o.News
}

// tell logs, without the lock: a slow log must hold up no source but the one whose news it is.
func (g *Group) tell(news []News) {
	for _, n := range news {
		n.Log(g.cfg.Logger)
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// pulse signals changes, not too often, and has nodes expire, until the Group is closed.
func (g *Group) pulse() {
	expire := time.NewTicker(min(max(g.keeper.cfg.Bound/20, time.Second), 30*time.Second))
	defer expire.Stop()
	for {
		select {
		case <-g.ctx.Done():
			return
		case <-expire.C:
			g.expire()
		case <-g.dirty:
			signal(g.changed)
			if !sleep(g.ctx, spacing) {
				return
			}
		}
	}
}

// sleep reports whether it was not cut short.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
