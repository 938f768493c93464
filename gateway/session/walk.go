package session

import (
	"errors"
	"net/http"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/retry"
	"github.com/quorate/quorate/gateway/upstream"
)

const (
	// maxSeen bounds the attempts of one call that nodes may have seen.
	maxSeen = 3
	// maxAttempts bounds all attempts: nodes that take a session and then do not know it must not be
	// asked for ever.
	maxAttempts = 8
)

// walk makes attempts until a node answers, moving the session where its node is lost. f is how the
// attempt before ended, nil at first. The error is what the agent is told instead: an *mcp.Error, a
// *refusal or the reason why the session has ended.
func (c *call) walk(f *fault) (*pin, *http.Response, error) {
	var p *pin
	for {
		if f != nil {
			goOn, err := c.next(f)
			if err != nil {
				f.drop()
				return nil, nil, err
			}
			if !goOn {
				return p, f.answer, nil
			}
		}
		to, err := c.s.settled(c.pool)
		if err != nil {
			return c.stranded(p, f, err)
		}
		p = to
		resp, err := c.send(p)
		if f = c.judge(p, resp, err); f == nil {
			return p, resp, nil
		}
	}
}

// stranded ends a walk that found no node: with the last node's answer if there is one.
func (c *call) stranded(p *pin, f *fault, err error) (*pin, *http.Response, error) {
	if f != nil && f.answer != nil && !f.unknown {
		return p, f.answer, nil
	}
	f.drop()
	if c.seen > 0 && c.class != mcp.Hedge {
		c.s.m.hooks.Unknown()
		return nil, nil, mcp.OutcomeUnknown("node_lost")
	}
	return nil, nil, err
}

// judge looks at how an attempt ended. It returns nil for an answer to pass on; otherwise it has seen
// to it that the session leaves a node that is lost to it.
func (c *call) judge(p *pin, resp *http.Response, err error) *fault {
	if err != nil {
		f := faultOf(p, err)
		if f.progress != upstream.NotSent {
			c.seen++
		}
		c.s.examine(p, f)
		return f
	}
	f := c.s.disowned(p, resp, c.first)
	if f == nil {
		c.seen++
	}
	return f
}

// next decides what follows a fault. It returns true for another attempt, false to pass the node's
// answer on, or what to tell the agent.
func (c *call) next(f *fault) (bool, error) {
	if c.s.ctx.Err() != nil {
		return false, c.ended()
	}
	if c.canceled.Load() {
		return false, mcp.OutcomeUnknown("cancelled")
	}
	if f.failure == upstream.Shed {
		return false, mcp.Overloaded("region", time.Second) // the session is there, and so is its work
	}
	in := c.decision(f)
	if in.WantsBudget() {
		in.BudgetOK = c.s.m.cfg.Budget.Take(time.Now(), in.Lost())
	}
	switch retry.Decide(in) {
	case retry.Next:
		f.drop()
		if c.seen > 0 {
			c.again.Store(true)
		}
		c.s.m.hooks.Retried()
		return true, nil
	case retry.Overloaded:
		return false, mcp.Overloaded("retry_budget", time.Second)
	case retry.NoAuthority:
		return false, f.failure.NoAuthority()
	case retry.Unavailable:
		return false, mcp.NothingFits("no_node", time.Second)
	case retry.Pass:
		if f.answer != nil {
			return false, nil
		}
	}
	c.s.m.hooks.Unknown()
	return false, mcp.OutcomeUnknown("node_lost")
}

// decision is what the retry rules need to know. An open event stream is no commitment here: its
// events so far can be followed by another node's. A gateway that may not write keeps its session.
func (c *call) decision(f *fault) retry.In {
	in := retry.In{
		Era: mcp.Legacy, Class: c.class, Progress: f.progress, Failure: f.failure, SessionLost: f.unknown,
		Attempt: c.seen, MaxAttempts: maxSeen, Reached: c.seen > 0, Candidates: c.attempts < maxAttempts && f.failure != upstream.Barred,
	}
	if f.answer != nil {
		in.Status = f.answer.StatusCode
	}
	return in
}

// ended is what a call is told whose session is over. What may have run, and must not run twice, is not told by the
// session's end alone, but to the agent that has ended it: it would begin another, and call again.
func (c *call) ended() error {
	err := c.s.over()
	if c.seen == 0 || c.class != mcp.Once || errors.Is(err, errDeleted) {
		return err
	}
	reason := "session_lost"
	switch {
	case errors.Is(err, errShutdown):
		reason = "shutdown"
	case errors.Is(err, ErrTaken):
		reason = "session_moved"
	}
	c.s.m.hooks.Unknown()
	return mcp.OutcomeUnknown(reason)
}
