package gateway

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/retry"
	"github.com/quorate/quorate/gateway/upstream"
	"github.com/quorate/quorate/regions"
)

// call is one request of an agent that needs no session, on its walk along the candidates.
type call struct {
	g       *Gateway
	p       *pool
	w       http.ResponseWriter
	r       *http.Request
	env     mcp.Envelope
	era     mcp.Era
	id      []byte // JSON-RPC id as sent; nil for a notification
	class   mcp.RetryClass
	need    need
	request upstream.Request

	tried     tried
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
	pinned := c.pinned()
	for {
		node := c.next(pinned)
		if node == nil {
			return c.fail(nothingFits(c.whyNone()), Unavailable)
		}
		pinned = ""
		c.attempts++
		resp, err := c.attempt(node)
		if err == nil {
			var outcome Outcome
			if outcome, err = c.deliver(node, resp); err == nil {
				return outcome
			}
		}
		if outcome, ended := c.after(node, resp, err); ended {
			return outcome
		}
	}
}

func (c *call) attempt(node *upstream.Node) (*http.Response, error) {
	if c.g.cfg.Tracer == nil {
		return node.Do(c.r.Context(), &c.request)
	}
	fields, end := c.g.cfg.Tracer.Attempt(c.r.Context(), string(node.ID()), c.attempts)
	request := c.request
	request.Set = append(request.Set, fields...)
	resp, err := node.Do(c.r.Context(), &request)
	var broken *upstream.Error
	if errors.As(err, &broken) {
		end(broken.Failure.String())
	} else {
		end("ok")
	}
	return resp, err
}

// next returns the pinned node the first time, if it is in the table, and then the balancer's choice.
func (c *call) next(pinned regions.NodeID) *upstream.Node {
	i, ok := -1, false
	if pinned != "" {
		i, ok = c.p.byID[pinned]
	}
	if !ok {
		i = c.pick(time.Now())
	}
	if i < 0 {
		return nil
	}
	c.tried.add(i)
	return c.p.members[i].node
}

// pick prefers nodes that list the tool that is called; if none is left, any may say what it thinks of it.
func (c *call) pick(now time.Time) int {
	if len(c.p.lacking) > 0 && c.env.Method == mcp.MethodToolsCall {
		if lacking, uneven := c.p.lacking[c.env.Name]; uneven {
			without := c.tried.unite(lacking)
			if i := c.p.pick(c.need, &without, now); i >= 0 && !c.p.members[i].node.Dead() {
				return i
			}
		}
	}
	return c.p.pick(c.need, &c.tried, now)
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
	id, _ := c.p.affinity.node(handle)
	return id
}

// learn remembers who issued the handles in an answer.
func (c *call) learn(node *upstream.Node, e *mcp.Envelope) {
	if e.TaskID != "" {
		c.p.affinity.learn(e.TaskID, node.ID())
	}
	if e.ResultRequestState != "" && c.p.settings.RequestStateAffinity {
		c.p.affinity.learn(e.ResultRequestState, node.ID())
	}
}

// after decides what follows a failed attempt. A whole answer that asked for another node is passed on
// as it is when there is none.
func (c *call) after(node *upstream.Node, resp *http.Response, err error) (Outcome, bool) {
	now := time.Now()
	in := retry.In{
		Era: c.era, Class: c.class, Attempt: c.attempts, MaxAttempts: c.p.settings.Attempts,
		Committed: c.streaming, Splice: c.streaming, Reached: c.reached,
		Candidates: c.p.pick(c.need, &c.tried, now) >= 0,
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
		if resp != nil {
			return c.copyBusy(resp)
		}
		return Canceled
	case retry.Unknown:
		return c.fail(mcp.OutcomeUnknown(in.Failure.String()), Unknown)
	case retry.Overloaded:
		return c.fail(mcp.Overloaded("retry_budget", time.Second), Overloaded)
	}
	return c.fail(nothingFits(c.whyNone()), Unavailable)
}

func (c *call) retrying(node *upstream.Node, err error) {
	c.p.counters.retries.Add(1)
	if log := c.g.cfg.Logger; log.Enabled(c.r.Context(), slog.LevelInfo) {
		log.Info("retrying", "service", c.p.name, "node", string(node.ID()), "method", c.env.Method,
			"request", c.g.requestID(c.r), "attempt", c.attempts, "cause", err.Error())
	}
}

func (c *call) whyNone() string {
	if c.attempts > 0 {
		return "all_nodes_failed"
	}
	return "no_node"
}

// fail answers with an error of the gateway: as a response of its own, or as the last event of a
// stream that is already open.
func (c *call) fail(e *mcp.Error, o Outcome) Outcome {
	if c.r.Context().Err() != nil {
		return Canceled
	}
	if c.streaming {
		c.writeEvent(mcp.Event{Data: e.Body(c.id)})
		return o
	}
	mcp.WriteAnswer(c.w, c.env.Method, e, c.id)
	return o
}
