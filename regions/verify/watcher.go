package verify

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/quorate/quorate/regions"
	"github.com/quorate/quorate/regions/identity"
)

// prober talks to one node; probe is the real one.
type prober interface {
	check(ctx context.Context) (*report, error)
	follow(ctx context.Context, f feed, changed func())
	idle()
	close(ctx context.Context)
}

// watcher observes one node. Its run goroutine makes the checks; dead and suspect may be called by
// anybody.
type watcher struct {
	cfg     *Config
	probe   prober
	logger  *slog.Logger
	slots   chan struct{} // shared: bounds the checks at one time
	changed func()        // state, facts or proposal are new; must not block

	recheck chan struct{} // cap 1: check soon
	died    chan struct{} // cap 1: begin the backoff anew

	mu       sync.Mutex
	proposal regions.Proposal
	seen     regions.Observation
	health   Health
	pace     pace
	life     uint64 // counts deaths; a check begun in another life says nothing of this one
	cancel   context.CancelFunc
}

// run checks the node until ctx ends.
func (w *watcher) run(ctx context.Context) {
	var f follower
	defer f.stop()
	for {
		began := time.Now()
		if r := w.checkOnce(ctx); r != nil {
			f.follow(ctx, w.probe, r.feed, w.kick)
		} else if s := w.state(); s == regions.Unhealthy || s == regions.Unknown {
			f.stop() // it may hang on a connection to nowhere
		}
		if !w.pause(ctx, began) {
			return
		}
	}
}

func (w *watcher) state() regions.State {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.health.State
}

// checkOnce makes one check in its turn and returns the report of a good one that still counts.
func (w *watcher) checkOnce(ctx context.Context) *report {
	select {
	case w.slots <- struct{}{}:
		defer func() { <-w.slots }()
	case <-ctx.Done():
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, w.cfg.Timeout)
	defer cancel()
	lower(w.recheck) // this check answers it
	life := w.begin(cancel)
	r, err := w.probe.check(ctx)
	if err != nil || w.doubted() {
		w.probe.idle()
	}
	if !w.end(ctx, life, r, err) {
		return nil
	}
	return r
}

func (w *watcher) begin(cancel context.CancelFunc) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cancel = cancel
	return w.life
}

// end takes in the result of a check. It returns whether it was good and counts.
func (w *watcher) end(ctx context.Context, life uint64, r *report, err error) bool {
	w.mu.Lock()
	w.cancel = nil
	if life != w.life || (err != nil && errors.Is(ctx.Err(), context.Canceled)) {
		w.mu.Unlock()
		return false
	}
	before := w.health
	news := w.step(eventOf(err))
	if err != nil {
		w.seen.Problem = problem(err)
	} else if w.health.State != regions.Unknown {
		w.learn(r)
	}
	after := w.health
	w.mu.Unlock()
	w.log(news, before, after, err)
	return err == nil
}

// eventOf says what the end of a check means.
func eventOf(err error) Event {
	switch {
	case err == nil:
		return Good
	case errors.Is(err, identity.ErrIdentity):
		return Impostor
	}
	return Bad
}

// maxProblem bounds Observation.Problem, in bytes.
const maxProblem = 256

func problem(err error) string { return strings.ToValidUTF8(cut(err.Error(), maxProblem), "") }

// learn keeps what a good check found. w.mu is held.
func (w *watcher) learn(r *report) {
	w.seen.Problem = ""
	w.seen.LastSeen, w.seen.Latency = r.sent, r.latency
	if w.seen.Facts == nil || !sameFacts(w.seen.Facts, &r.facts) {
		facts := r.facts
		facts.Tools = w.cfg.shared.of(facts.Tools)
		w.seen.Facts = &facts
		w.changed()
	}
}

func sameFacts(a, b *regions.Facts) bool {
	return a.Eras == b.Eras && a.Stateful == b.Stateful && slices.Equal(a.Versions, b.Versions) &&
		slices.Equal(a.Groups, b.Groups) && maps.Equal(a.Tools, b.Tools)
}

// step moves the health and returns what there is to log of it, "" for nothing. w.mu is held.
func (w *watcher) step(e Event) (news string) {
	before := w.health
	w.health = Step(Thresholds{w.cfg.Failures, w.cfg.Successes}, w.health, e)
	w.seen.ConsecutiveFailures, w.seen.Unproven = w.health.Failures, w.health.Unproven
	if w.health.Unproven && !before.Unproven {
		w.seen.State, w.seen.Facts = w.health.State, nil
		w.cfg.proofs.Add(1)
		w.changed()
		return "node is not who it must be"
	}
	if w.health.State == before.State {
		if before == (Health{}) {
			return "node does not verify yet"
		}
		return ""
	}
	w.seen.State = w.health.State
	if w.health.State == regions.Healthy {
		w.seen.Since = time.Now()
	}
	w.changed()
	return "node state changed"
}

// log is called without w.mu, so that a slow log holds up nobody who asks.
func (w *watcher) log(news string, before, after Health, cause error) {
	switch {
	case news == "" || before == after:
	case cause == nil:
		w.logger.Info(news, "from", before.State.String(), "to", after.State.String(), "cause", "checks pass")
	default:
		w.logger.Warn(news, "from", before.State.String(), "to", after.State.String(), "cause", cause.Error())
	}
}

// errDead is the cause that the log gives for a death that the data plane reported.
var errDead = errors.New("the data plane found it dead")

// dead takes in that the data plane found the node dead.
func (w *watcher) dead() {
	w.mu.Lock()
	before := w.health
	news := w.step(Dead)
	after := w.health
	fresh := before.State != after.State // else its re-checks are under way; traffic in panic must not hurry them
	if fresh {
		w.seen.Problem = errDead.Error()
		w.anew()
	}
	w.mu.Unlock()
	if fresh {
		w.probe.idle() // the re-check must not wait on a connection that may lead to nowhere
	}
	w.log(news, before, after, errDead)
}

// unproven takes in that the data plane met an impostor.
func (w *watcher) unproven(cause error) {
	w.mu.Lock()
	before := w.health
	news := w.step(Impostor)
	w.seen.Problem = problem(cause)
	after := w.health
	if !before.Unproven { // else, as with a death
		w.anew()
	}
	w.mu.Unlock()
	w.probe.idle() // a connection that was proven before says nothing of who answers now
	w.log(news, before, after, cause)
}

// anew makes a check under way void and begins the backoff. w.mu is held.
func (w *watcher) anew() {
	w.life++
	w.pace = pace{}
	if w.cancel != nil {
		w.cancel()
	}
	signal(w.died)
}

// doubted reports whether the connection of a check must not serve another one.
func (w *watcher) doubted() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.health.Unproven
}

// inherit takes over what another watcher of the same node has seen. It is called before run.
func (w *watcher) inherit(from *watcher) {
	from.mu.Lock()
	defer from.mu.Unlock()
	w.seen, w.health = from.seen, from.health
}

// suspect asks for a check soon, unless the node is down and being re-checked anyway.
func (w *watcher) suspect() {
	if s := w.state(); s == regions.Healthy || s == regions.Degraded {
		w.kick()
	}
}

func (w *watcher) kick() { signal(w.recheck) }

// signal raises a flag, which is a channel of capacity 1; lower takes it down.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func lower(c chan struct{}) {
	select {
	case <-c:
	default:
	}
}

// pause waits until the next check is due. It returns false when ctx ended.
func (w *watcher) pause(ctx context.Context, began time.Time) bool {
	due := time.Now().Add(w.nextWait())
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return true
		case <-w.recheck:
			if soon := began.Add(minSpacing); soon.Before(due) {
				due = soon
			}
		case <-w.died:
			due = time.Now().Add(w.nextWait())
		case <-ctx.Done():
			return false
		}
		timer.Reset(time.Until(due))
	}
}

// nextWait moves the pace. A death already taken in is no reason to move it twice.
func (w *watcher) nextWait() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	lower(w.died)
	var wait time.Duration
	wait, w.pace = w.pace.next(w.health, w.cfg.Interval)
	return jittered(wait, w.cfg.random())
}

// node returns the node as of now.
func (w *watcher) node() regions.Node {
	w.mu.Lock()
	defer w.mu.Unlock()
	return regions.Node{Proposal: w.proposal, Observation: w.seen}
}

// update replaces the proposal by one with the same id and URL.
func (w *watcher) update(p regions.Proposal) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.proposal != p {
		w.proposal = p
		w.changed()
	}
}
