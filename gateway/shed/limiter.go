// Package shed decides which requests a region's own pool takes on: a limit of requests in flight that is
// learned from latency, filled by latency class so that slow traffic is shed first, with a reserve for
// control and a bound for what other regions send. It must not know requests, nodes or HTTP.
//
// The limit follows the gradient of latency, as Netflix's concurrency-limits (Gradient2) and Envoy's adaptive
// concurrency filter do. The difference: tools of one pool differ by orders of magnitude, so each request is
// compared with the floor of its own kind of work, never with others.
package shed

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Kind is a request's standing. The first three are the latency classes in their order.
type Kind uint8

const (
	// Fast may fill the whole limit.
	Fast Kind = iota
	// Medium is shed before Fast.
	Medium
	// Slow is shed first.
	Slow
	// Control keeps agents and sessions alive (handshakes, pings, checks); it has a reserve beyond the limit.
	Control
	// Kinds is how many there are.
	Kinds
)

// Config says how much a pool takes on. The zero value of every field but Adaptive stands for its default.
type Config struct {
	Adaptive bool // learn the limit; otherwise it is Max
	Max      int  // requests in flight, from 1; default 10,000
	Min      int  // of the learned limit, from 1; default 8
	// Initial is where learning begins, Min..Max; default PerNode.
	Initial int
	// Shares are the parts of the limit up to which fast, medium and slow requests are let in, over 0 to 1,
	// by everything in flight. Default 1, 0.9, 0.7.
	Shares [3]float64
	// Reserve is how many control requests go beyond the limit, from 0.
	Reserve int
	// ForeignMax bounds the requests of other regions in flight; 0: eight tenths of the present limit.
	ForeignMax int
	Window     time.Duration // time between two judgements; default 100 ms
	// Tolerance is how many times its floor latency may be before the limit shrinks, from 1; default 1.25.
	Tolerance float64
	// Slack is added to both, so that the noise of short calls means nothing: with a tolerance of 1.25 the
	// limit shrinks when half of the calls wait longer than a quarter of it and of their floor, 6 ms for a call that
	// takes no time (as CoDel, RFC 8289, judges by a standing delay that matters); default 24 ms.
	Slack time.Duration
}

// PerNode is the limit that learning begins with for a pool of one node: fewer would refuse bursts before anything
// is known, more would learn the floors in a long queue.
const PerNode = 32

// ErrConfig is wrapped by every error of New.
var ErrConfig = errors.New("shed: config")

func (c Config) withDefaults() (Config, error) {
	or(&c.Max, 10_000)
	or(&c.Min, min(8, c.Max))
	or(&c.Initial, min(max(PerNode, c.Min), c.Max))
	or(&c.Window, 100*time.Millisecond)
	or(&c.Tolerance, 1.25)
	or(&c.Slack, 24*time.Millisecond)
	or(&c.Shares, [3]float64{1, 0.9, 0.7})
	if c.Min < 1 || c.Min > c.Max || c.Initial < c.Min || c.Initial > c.Max || c.Reserve < 0 || c.ForeignMax < 0 {
		return c, fmt.Errorf("%w: min %d, initial %d, max %d, reserve %d or foreign %d is out of range", ErrConfig, c.Min, c.Initial, c.Max, c.Reserve, c.ForeignMax)
	}
	if c.Window < time.Millisecond || c.Tolerance < 1 || c.Slack < 0 {
		return c, fmt.Errorf("%w: window %s, tolerance %v or slack %s is out of range", ErrConfig, c.Window, c.Tolerance, c.Slack)
	}
	for _, s := range c.Shares {
		if !(s > 0 && s <= 1) {
			return c, fmt.Errorf("%w: share %v is outside 0..1", ErrConfig, s)
		}
	}
	return c, nil
}

func or[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// Why a request was refused; "" is not refused.
const (
	// Full: the pool has as much in flight as it bears.
	Full = "limit"
	// ClassFull: it has as much as requests of this class may add to.
	ClassFull = "class_limit"
	// ForeignFull: other regions have as much in flight here as this one gives them.
	ForeignFull = "foreign_capacity"
)

// Limiter admits requests to one pool. Its methods may be called concurrently; Admit and Done allocate
// nothing and take no lock, but for the one Done in a window that judges it.
type Limiter struct {
	cfg      Config
	limit    atomic.Int64
	total    atomic.Int64
	foreign  atomic.Int64
	admitted [Kinds]atomic.Uint64
	shed     [Kinds]atomic.Uint64

	floors floors
	window window
	judges sync.Mutex // held by whoever judges a window
}

// New returns a limiter, or an error wrapping ErrConfig.
func New(cfg Config) (*Limiter, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	l := &Limiter{cfg: cfg}
	l.limit.Store(int64(cfg.Max))
	if cfg.Adaptive {
		l.limit.Store(int64(cfg.Initial))
	}
	return l, nil
}

// Grow raises a learned limit by what a larger pool can bear; what that is too much, learning takes back.
func (l *Limiter) Grow(by int) {
	if !l.cfg.Adaptive || by <= 0 {
		return
	}
	l.judges.Lock()
	defer l.judges.Unlock()
	l.limit.Store(min(l.limit.Load()+int64(by), int64(l.cfg.Max)))
}

// Ticket is a place in the pool; its Done must be called once.
type Ticket struct {
	l       *Limiter
	began   time.Time
	kind    Kind
	foreign bool
}

// Admit asks for a place for a request of kind k; foreign says that another region sent it. A refusal says
// why.
func (l *Limiter) Admit(now time.Time, k Kind, foreign bool) (Ticket, string) {
	limit := l.limit.Load()
	total := l.total.Add(1)
	why := l.refuses(k, limit, total)
	if why == "" && foreign && l.foreign.Add(1) > l.foreignBound(limit) && k != Control {
		l.foreign.Add(-1)
		why = ForeignFull
	}
	if why != "" {
		l.total.Add(-1)
		l.shed[k].Add(1)
		l.window.shed.Add(1)
		return Ticket{}, why
	}
	l.admitted[k].Add(1)
	l.window.reached(total)
	return Ticket{l: l, began: now, kind: k, foreign: foreign}, ""
}

func (l *Limiter) refuses(k Kind, limit, total int64) string {
	switch {
	case k == Control:
		if total > limit+int64(l.cfg.Reserve) {
			return Full
		}
	case total > limit:
		return Full
	case total > max(1, int64(l.cfg.Shares[k]*float64(limit))):
		return ClassFull
	}
	return ""
}

func (l *Limiter) foreignBound(limit int64) int64 {
	if l.cfg.ForeignMax > 0 {
		return int64(l.cfg.ForeignMax)
	}
	return max(1, limit*8/10)
}

// Done gives the place back. key names the kind of work, such as a hash of the tool's name; served says that
// the pool answered, so that the time it took means something.
func (t Ticket) Done(now time.Time, key uint64, served bool) {
	l := t.l
	l.total.Add(-1)
	if t.foreign {
		l.foreign.Add(-1)
	}
	if !served || !l.cfg.Adaptive || t.kind == Control {
		return
	}
	took := max(now.Sub(t.began), 1)
	if floor := l.floors.observe(key, took, now); floor > 0 {
		l.window.observe(float64(took+l.cfg.Slack) / float64(floor+l.cfg.Slack))
	}
	l.judge(now)
}

// Figures is what a limiter has counted.
type Figures struct {
	Limit, InFlight, Foreign int64
	Admitted, Shed           [Kinds]uint64
}

// Figures returns the counts.
func (l *Limiter) Figures() Figures {
	f := Figures{Limit: l.limit.Load(), InFlight: l.total.Load(), Foreign: l.foreign.Load()}
	for k := range Kinds {
		f.Admitted[k], f.Shed[k] = l.admitted[k].Load(), l.shed[k].Load()
	}
	return f
}

// RetryAfter is when an agent that was refused may come back: the later, the more were refused with it.
// random is 64 random bits, so that they do not all come back at one moment; 100 ms to 10 s.
func (l *Limiter) RetryAfter(k Kind, random uint64) time.Duration {
	wait := time.Duration(float64(200*time.Millisecond) * l.window.pressure() * float64(1+min(k, Slow)))
	spread := 0.5 + float64(random>>11)/(1<<53)
	return min(max(time.Duration(float64(wait)*spread), 100*time.Millisecond), 10*time.Second)
}
