// Package breaker wraps sony/gobreaker once, so that a node's circuit breaker also works for probes
// that never report, for calls longer than its window and for partial failure.
// It must not know nodes, requests, HTTP or retries.
package breaker

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
)

// Outcome is what an allowed call came to.
type Outcome uint8

const (
	// Success: the node answered, whatever it answered.
	Success Outcome = iota
	// Failure: the node did not do its work.
	Failure
	// Ignored: the call says nothing about the node, as when its caller gave up.
	Ignored
)

// ErrOpen is returned by Allow while the node is not to be called: the breaker is open, or half open
// with all its probes out.
var ErrOpen = errors.New("breaker: open")

// Reports to gobreaker; the sentinels never leave this package.
var (
	errFailure = errors.New("breaker: failure")
	errIgnored = errors.New("breaker: ignored")
)

// Breaker decides whether a node may be called. Its methods may be called concurrently.
//
// Four things differ from gobreaker's own behaviour, each with a test against both:
//   - a half-open probe that has not reported by Config.ProbeDeadline gives its place to another;
//   - a call is counted in the window in which it ends, so that it may be of any length;
//   - Config.OnChange runs outside every lock, in order, and may call State;
//   - partial failure trips by ratio, not only an unbroken row of failures.
type Breaker struct {
	cb          *gobreaker.TwoStepCircuitBreaker[struct{}]
	now         atomic.Pointer[epoch]
	consecutive atomic.Int64 // kept here because gobreaker forgets its own count as the window moves
	deadline    time.Duration
	notify      notifier

	mu     sync.Mutex // guards probes; taken only while not closed
	probes []*probe
}

// epoch is one life of one state. Calls begun in an earlier epoch do not count in a later one: a
// straggler from before the trip must neither close nor reopen a half-open breaker.
type epoch struct {
	state gobreaker.State
	done  func(Outcome) // shared by all calls of a closed epoch, so that Allow allocates nothing
}

// New returns a closed breaker, or an error if c is out of range.
func New(c Config) (*Breaker, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	b := &Breaker{
		deadline: c.ProbeDeadline,
		notify:   notifier{fn: c.OnChange},
	}
	b.enter(gobreaker.StateClosed)
	b.cb = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests:   uint32(c.Probes),
		Interval:      c.Window,
		BucketPeriod:  c.Window / windowBuckets,
		Timeout:       c.OpenFor,
		ReadyToTrip:   func(n gobreaker.Counts) bool { return c.trips(n, b.consecutive.Load()) },
		OnStateChange: b.changed,
		IsSuccessful:  func(err error) bool { return err == nil },
		IsExcluded:    func(err error) bool { return errors.Is(err, errIgnored) },
	})
	return b, nil
}

// Allow asks to call the node. On nil error done must be called exactly once, when the call has
// ended; otherwise the error is ErrOpen and done is nil.
func (b *Breaker) Allow() (done func(Outcome), err error) {
	if e := b.now.Load(); e.state == gobreaker.StateClosed {
		return e.done, nil
	}
	return b.allowProbe()
}

// State returns "closed", "open" or "half_open".
func (b *Breaker) State() string {
	if b.now.Load().state == gobreaker.StateClosed {
		return word(gobreaker.StateClosed)
	}
	return word(b.cb.State()) // moves on from open by the clock
}

// enter starts an epoch.
func (b *Breaker) enter(s gobreaker.State) {
	e := &epoch{state: s}
	e.done = func(o Outcome) { b.ended(e, o) }
	b.consecutive.Store(0)
	b.now.Store(e)
}

// changed is called by gobreaker with its lock held: it must not call back.
func (b *Breaker) changed(_ string, from, to gobreaker.State) {
	b.enter(to)
	b.notify.add(word(from), word(to))
}

// ended counts a call of a closed epoch at its end. Entering and leaving gobreaker in one step puts
// the call into the window of now; gobreaker would drop a call whose window has passed.
func (b *Breaker) ended(e *epoch, o Outcome) {
	if o == Ignored || b.now.Load() != e {
		return
	}
	b.row(o)
	report, err := b.cb.Allow()
	if err != nil {
		return
	}
	if b.now.Load() != e { // it moved between the two looks: give back the probe's place
		report(errIgnored)
		return
	}
	report(verdict(o))
}

// row keeps the length of the present row of failures.
func (b *Breaker) row(o Outcome) {
	if o == Failure {
		b.consecutive.Add(1)
	} else if b.consecutive.Load() != 0 { // a healthy node's calls share the cache line unwritten
		b.consecutive.Store(0)
	}
}

func verdict(o Outcome) error {
	switch o {
	case Failure:
		return errFailure
	case Ignored:
		return errIgnored
	}
	return nil
}

func word(s gobreaker.State) string {
	switch s {
	case gobreaker.StateOpen:
		return "open"
	case gobreaker.StateHalfOpen:
		return "half_open"
	}
	return "closed"
}
