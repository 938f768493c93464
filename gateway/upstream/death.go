package upstream

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"time"

	"github.com/quorate/quorate/internal/breaker"
	"github.com/quorate/quorate/regions/identity"
)

// probeRun is one suspect probe that everybody who suspects the node meanwhile waits for.
type probeRun struct {
	done  chan struct{}
	alive bool // valid once done is closed
}

// suspectConn runs when an exchange has waited for response headers longer than Config.Suspect. The
// node is asked on another connection, and asked again, ever more seldom, as long as the call waits:
// a slow call is never cut while its node answers anything at all.
func (n *Node) suspectConn(c *conn) {
	alive := n.ask()
	if !c.waiting.Load() {
		return
	}
	if !alive {
		n.pool.drop(c) // a node that was dead already has its death behind it: that does not close this one
		return
	}
	wait := min(2*time.Duration(c.wait.Load()), 5*time.Second)
	c.wait.Store(int64(wait))
	c.suspect.Reset(wait)
}

// Suspect asks the node for a sign of life in the background.
func (n *Node) Suspect() { go n.Alive() }

// Alive asks the node for any answer at all, within Config.Probe, and declares it dead if there is
// none. A dead node is not asked.
func (n *Node) Alive() bool { return !n.Dead() && n.ask() }

// ask makes the probe, of a dead node too: when all are dead it is still called, and may be back.
// Callers at one time share one probe.
func (n *Node) ask() bool {
	life := n.life.Load()
	run := &probeRun{done: make(chan struct{})}
	for !n.probing.CompareAndSwap(nil, run) {
		if other := n.probing.Load(); other != nil {
			<-other.done
			return other.alive
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), n.cfg.Probe+2*n.rtt())
	defer cancel()
	err := n.cfg.Alive(ctx)
	run.alive = err == nil || ownShortage(err)
	if errors.Is(err, identity.ErrIdentity) {
		n.impostor(err)
	}
	if !run.alive {
		n.end(life, "suspect probe failed", err)
	}
	n.probing.Store(nil)
	close(run.done)
	return run.alive
}

// ownShortage reports whether the gateway itself lacked what a new connection takes. That says nothing of
// the node: a flood of agents must not end the calls that are under way.
func ownShortage(err error) bool {
	for _, lack := range [...]syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL} {
		if errors.Is(err, lack) {
			return true
		}
	}
	return false
}

// die declares the node dead for everybody.
func (n *Node) die(why string, cause error) { n.end(n.life.Load(), why, cause) }

// end ends the life that a failure was seen in: the signal first, then every connection, so that whoever
// sees its connection break already knows why. A node that came back meanwhile is in another life.
func (n *Node) end(l *life, why string, cause error) {
	if !l.diedAt.CompareAndSwap(0, time.Now().UnixNano()) {
		return
	}
	close(l.down)
	n.cfg.Observer.NodeFailed(n.cfg.ID, true)
	n.pool.closeAll()
	n.attempts.cancel(errNodeDead)
	n.cfg.Logger.Warn("node is dead", "node", string(n.cfg.ID), "why", why, "cause", cause.Error())
}

// impostor takes in that another than the node answers at its address. That is no death: a connection that was
// proven leads to the node itself, and what is under way on it goes on. But nothing more goes to the address until
// the node is verified again, and no idle connection is kept for it.
func (n *Node) impostor(cause error) {
	n.unproven.Store(time.Now().UnixNano())
	n.pool.dropIdle()
	n.cfg.Observer.NodeUnproven(n.cfg.ID, cause)
}

// Unproven reports whether a proof of the node's identity has failed since it was last verified. Every connection
// to it is proven all the same.
func (n *Node) Unproven() bool { return n.unproven.Load() != 0 }

// Revive ends a death and doubts of the node's identity, if it was seen well after them. It returns whether the
// node is alive now.
func (n *Node) Revive(lastSeen time.Time) bool {
	if at := n.unproven.Load(); at != 0 && lastSeen.UnixNano() > at {
		n.unproven.CompareAndSwap(at, 0)
	}
	l := n.life.Load()
	died := l.diedAt.Load()
	if died == 0 {
		return true
	}
	if lastSeen.UnixNano() <= died {
		return false
	}
	n.ewma.Reset()
	n.life.CompareAndSwap(l, &life{down: make(chan struct{})})
	return true
}

// Leave takes the node out of use for good: whoever is pinned to it is told as in a death, calls under
// way end by themselves.
func (n *Node) Leave() {
	l := n.life.Load()
	if l.diedAt.CompareAndSwap(0, time.Now().UnixNano()) {
		close(l.down)
	}
	n.pool.retire()
}

// refused turns a failed connect into an *Error. A node that refuses is dead at once; one that only
// did not answer in time is asked again, since a lost SYN says little.
func (n *Node) refused(ctx context.Context, report func(breaker.Outcome), err error) error {
	e := &Error{Node: n.cfg.ID, Progress: NotSent, Failure: Refused, Err: err}
	if ctx.Err() != nil {
		e.Failure, e.Err = Canceled, context.Cause(ctx)
		report(breaker.Ignored)
		n.results.failed(Canceled)
		return e
	}
	if errors.Is(err, identity.ErrIdentity) {
		e.Failure = Unproven
		n.impostor(err)
		report(breaker.Ignored) // as with a death, it is verification's matter when the node is itself again
		n.results.failed(Unproven)
		return e
	}
	n.results.failed(Refused)
	switch {
	case ownShortage(err):
		report(breaker.Ignored)
		return e
	case errors.Is(err, syscall.ECONNREFUSED):
		n.die("connection refused", err)
	default:
		n.Suspect()
	}
	report(outcome(e, n.Dead()))
	return e
}

// unquoted says what was wrong with an answer without the bytes that were: they may be a part of somebody's answer, and
// the error is logged.
func unquoted(err error) error {
	what, _, quotes := strings.Cut(err.Error(), `"`)
	if !quotes {
		return err
	}
	return errors.New(strings.TrimRight(what, ": "))
}

// fail classifies a broken exchange and tells the observer.
func (n *Node) fail(ctx context.Context, c *conn, p Progress, err error) *Error {
	e := &Error{Node: n.cfg.ID, Progress: p, Failure: Reset, Err: err}
	switch {
	case n.Dead():
		e.Failure = Dead
	case ctx.Err() != nil:
		e.Failure, e.Err = Canceled, context.Cause(ctx)
		n.results.failed(Canceled)
		return e
	case errors.Is(err, syscall.ETIMEDOUT):
		n.die("bytes stayed unacknowledged", err)
		e.Failure = Dead
	case !c.ended:
		e.Failure, e.Err = Malformed, unquoted(err)
	case !n.Alive():
		// A broken connection is all a killed process leaves; whether the node is gone decides what a
		// retry costs and what its breaker should think after a restart.
		e.Failure = Dead
	}
	n.results.failed(e.Failure)
	if e.Failure != Dead {
		n.cfg.Observer.NodeFailed(n.cfg.ID, false)
	}
	return e
}
