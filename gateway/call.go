package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/retry"
	"github.com/quorate/quorate/gateway/upstream"
	"github.com/quorate/quorate/internal/breaker"
	"github.com/quorate/quorate/regions"
)

// call is one request of an agent that needs no session, on its walk along the candidates.
type call struct {
	g       *Gateway
	p       *pool // also of candidates and admission
	w       http.ResponseWriter
	r       *http.Request
	env     mcp.Envelope
	era     mcp.Era
	id      []byte // JSON-RPC id as sent; nil for a notification
	policy  *policy
	request upstream.Request

	candidates
	admission
	keyed     *keyedCall // nil: it has no key in the ledger
	passage   passage
	at        int // the member that is asked
	attempts  int
	streaming bool    // the agent's event stream is open
	unflushed bool    // something written to it has not left yet
	progress  float64 // highest progress the agent was told
	told      bool    // it was told some
	reached   bool    // a node may have seen the request
}

// errBusy is an answer that asks for another node: 502, 503 or 504 to a request that may be sent again.
var errBusy = errors.New("gateway: node answered that it cannot serve")

// run walks the candidates until the request is answered, and says how.
func (c *call) run() Outcome {
	c.p.budget.Begin()
	defer c.p.budget.End()
	defer c.release()
	c.at = c.begin()
	for c.at >= 0 {
		m := &c.p.members[c.at]
		c.tried.add(c.at)
		c.attempts++
		resp, err := c.attempt(m)
		if err == nil {
			var outcome Outcome
			if outcome, err = c.deliver(m.node, resp); err == nil {
				c.passage.leave(breaker.Success)
				// What a lost node cost says nothing about how busy the others are.
				c.served = outcome == OK && m.region == 0 && c.attempts == 1
				return outcome
			}
		}
		c.passage.leave(verdictOf(err))
		if outcome, ended := c.after(m.node, resp, err); ended {
			return outcome
		}
	}
	return c.stranded()
}

// begin returns the first candidate: the node that the request is pinned to, if it is there.
func (c *call) begin() int {
	if i, ok := c.p.byID[c.pinned()]; ok {
		at := c.p.members[i].region
		if info := c.p.regions[at].info; !info.Barred && c.scope.allows(at, info.Name) && c.takes(at) {
			return i
		}
	}
	return c.next(time.Now())
}

// admits implements door.
func (c *call) admits(region int) bool {
	if region == 0 {
		return c.enter()
	}
	return c.p.regions[region].takes(c.class)
}

// release gives back what the request holds, however it ended.
func (c *call) release() {
	c.passage.leave(breaker.Ignored)
	c.leave()
}

func (c *call) attempt(m *member) (*http.Response, error) {
	if err := c.passage.enter(&c.p.regions[m.region], m.node.ID()); err != nil {
		return nil, err
	}
	if m.node.Forwards() || c.request.Permit != nil {
		c.request.Via = c.scope.passed(c.g.cfg.Name)
	}
	if c.g.cfg.Tracer == nil {
		return m.node.Do(c.r.Context(), &c.request)
	}
	r := c.p.regions[m.region].info
	fields, end := c.g.cfg.Tracer.Attempt(c.r.Context(), AttemptSpan{
		Node: string(m.node.ID()), Region: r.Name, RegionClass: r.Class.String(), RTT: r.RTT, Number: c.attempts,
	})
	traced := c.request
	traced.Set = append(traced.Set[:len(traced.Set):len(traced.Set)], fields...)
	resp, err := m.node.Do(c.r.Context(), &traced)
	var broken *upstream.Error
	if errors.As(err, &broken) {
		end(broken.Failure.String())
	} else {
		end("ok")
	}
	return resp, err
}

// pinned returns the node that issued the handle this request carries, if any.
func (c *call) pinned() regions.NodeID {
	var handle string
	switch {
	case strings.HasPrefix(c.env.Method, "tasks/"):
		handle = c.env.Name
	case c.env.RequestState != "" && c.p.settings.RequestStateAffinity:
		handle = c.env.RequestState
	default:
		return ""
	}
	if id, ok := c.p.affinity.node(handle); ok {
		return id
	}
	return c.asked(handle)
}

// learn remembers who issued the handles in an answer.
func (c *call) learn(node *upstream.Node, e *mcp.Envelope) {
	if e.TaskID != "" {
		c.p.affinity.learn(e.TaskID, node.ID())
		c.tell(node, e.TaskID)
	}
	if e.ResultRequestState != "" && c.p.settings.RequestStateAffinity {
		c.p.affinity.learn(e.ResultRequestState, node.ID())
		c.tell(node, e.ResultRequestState)
	}
}

// after decides what follows a failed attempt. A whole answer that asked for another node is passed on
// as it is when there is none.
func (c *call) after(node *upstream.Node, resp *http.Response, err error) (Outcome, bool) {
	now := time.Now()
	c.at = c.next(now)
	in := retry.In{
		Era: c.era, Class: c.class, Attempt: c.attempts, MaxAttempts: c.p.settings.Attempts,
		Committed: c.streaming, Splice: c.streaming, Reached: c.reached, Candidates: c.at >= 0,
	}
	var broken *upstream.Error
	switch {
	case errors.As(err, &broken):
		in.Progress, in.Failure = broken.Progress, broken.Failure
	case errors.Is(err, errBusy):
		in.Progress, in.Status = upstream.Done, resp.StatusCode
	default: // the agent's side broke
		return Canceled, true
	}
	if c.scope.via != "" && in.Status != 0 {
		// One layer retries what a node answered, or the attempts of two would multiply: the gateway that
		// passed the request on.
		in.Candidates = false
	}
	in.BudgetOK = !in.WantsBudget() || c.p.budget.Take(now, in.Lost())
	c.reached = c.reached || in.Progress != upstream.NotSent
	action := retry.Decide(in)
	if action != retry.Next {
		return c.end(action, resp, in), true
	}
	c.retrying(node, err)
	if resp != nil {
		_ = resp.Body.Close()
	}
	return 0, false
}

func (c *call) end(action retry.Action, resp *http.Response, in retry.In) Outcome {
	switch action {
	case retry.Pass:
		if in.Status != 0 { // a whole answer, and not one that was being read when time was up
			return c.copyBusy(resp)
		}
		if errors.Is(context.Cause(c.r.Context()), errDeadline) {
			return c.late()
		}
		return Canceled
	case retry.Unknown:
		return c.fail(mcp.OutcomeUnknown(in.Failure.String()), Unknown)
	case retry.NoAuthority:
		return c.fail(in.Failure.NoAuthority(), Refused)
	case retry.Overloaded:
		return c.fail(mcp.Overloaded("retry_budget", time.Second), Overloaded)
	}
	return c.stranded()
}

func (c *call) retrying(node *upstream.Node, err error) {
	c.p.counters.retries.Add(1)
	level := slog.LevelInfo
	var e *upstream.Error
	if errors.As(err, &e) && e.Progress == upstream.NotSent {
		level = slog.LevelDebug // nobody was disturbed, and an open breaker says so for every request
	}
	if log := c.g.cfg.Logger; log.Enabled(c.r.Context(), level) {
		log.Log(c.r.Context(), level, "retrying", "service", c.p.name, "node", string(node.ID()), "method", fmt.Sprintf("%.64s", c.env.Method),
			"request", c.g.requestID(c.r), "attempt", c.attempts, "cause", err.Error())
	}
}

// stranded answers a request that no node takes.
func (c *call) stranded() Outcome {
	switch {
	case c.why != "" && c.attempts == 0:
		return c.fail(c.refusal(), Overloaded)
	case c.attempts > 0:
		return c.fail(nothingFits("all_nodes_failed"), Unavailable)
	case c.policy.spill != regions.SpillAny && c.elsewhere():
		e := nothingFits("no_region_in_class")
		e.Message = fmt.Sprintf("no region that is %s enough can take the request, and its route does not let it go farther (spill: %s)", c.policy.class, c.policy.spill)
		return c.fail(e, Unavailable)
	}
	return c.fail(nothingFits("no_node"), Unavailable)
}

// elsewhere reports whether a region that the route forbids could take the request.
func (c *call) elsewhere() bool {
	for i := range c.p.regions {
		r := &c.p.regions[i]
		if !r.info.Barred && r.info.Class > c.policy.spill.Slowest(c.policy.class) && r.selector(c.need, c.group).Len() > 0 {
			return true
		}
	}
	return false
}

// fail answers with an error of the gateway: as a response of its own, or as the last event of a
// stream that is already open.
func (c *call) fail(e *mcp.Error, o Outcome) Outcome {
	if ctx := c.r.Context(); ctx.Err() != nil && !errors.Is(context.Cause(ctx), errDeadline) {
		return Canceled
	}
	if c.streaming {
		c.keyed.answered(nil) // a node has begun with it
		c.writeEvent(mcp.Event{Data: e.Body(c.id)})
		return o
	}
	mcp.WriteAnswer(c.w, c.env.Method, e, c.id)
	return o
}

// late answers a request whose deadline has passed.
func (c *call) late() Outcome {
	if c.reached && c.class != mcp.Hedge {
		return c.fail(mcp.OutcomeUnknown("deadline"), Unknown)
	}
	return c.fail(nothingFits("deadline"), Unavailable)
}
