package session

import (
	"context"
	"net/http"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/retry"
	"github.com/quorate/quorate/gateway/upstream"
	"github.com/quorate/quorate/regions"
)

// maxInitialize bounds what a session keeps of its agent's initialize.
const maxInitialize = 256 << 10

// ServeInitialize answers an initialize without a session: it opens one at a node of the pool, and
// gives the agent an id of the gateway's own. A node that issues no session id keeps no session, and
// its answer is passed on as it is.
func (m *Manager) ServeInitialize(w http.ResponseWriter, r *http.Request, in Call) {
	id := in.Envelope.ID.Of(in.Body)
	if len(in.Body) > maxInitialize {
		mcp.WriteError(w, mcp.InvalidRequest("initialize is too large"), id)
		return
	}
	if m.cfg.Keeper != nil {
		if e := m.cfg.Keeper.Changes(m.cfg.Service); e != nil {
			writeFailure(w, mcp.MethodInitialize, e, id)
			return
		}
	}
	if !m.countIn() {
		writeFailure(w, mcp.MethodInitialize, errShutdown, id)
		return
	}
	defer m.countOut()
	if !m.reserve() {
		mcp.WriteError(w, mcp.Overloaded("sessions", time.Second), id)
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(m.ctx, cancel)()
	o := &opener{m: m, in: &in, id: id, w: w, r: r, ctx: ctx, tried: make(map[regions.NodeID]bool)}
	defer func() { // also when an answer that breaks off takes this goroutine along
		if !o.minted {
			m.count.Add(-1)
		}
	}()
	if err := o.walk(); err != nil {
		writeFailure(w, mcp.MethodInitialize, err, id)
	}
}

// reserve counts a session in before it exists, so that many at one time cannot exceed the bound.
func (m *Manager) reserve() bool {
	if m.count.Add(1) > int64(m.cfg.MaxSessions) {
		m.count.Add(-1)
		return false
	}
	return true
}

// opener is one initialize on its way.
type opener struct {
	m      *Manager
	in     *Call
	id     []byte
	w      http.ResponseWriter
	r      *http.Request
	ctx    context.Context // ends with the manager, too
	tried  map[regions.NodeID]bool
	seen   int
	minted bool
}

func (o *opener) pick() (Node, bool) {
	n, ok := o.in.Pool.Pick(func(id regions.NodeID) bool { return o.tried[id] })
	if ok {
		o.tried[n.ID()] = true
	}
	return n, ok
}

// walk asks node after node until one has answered the agent.
func (o *opener) walk() error {
	n, ok := o.pick()
	if !ok {
		return mcp.NothingFits("no_node", time.Second)
	}
	for {
		f := o.attempt(n)
		if f == nil {
			return nil
		}
		next, more := o.pick()
		switch o.decide(f, more) {
		case retry.Next:
			o.m.hooks.Retried()
			if f.answer != nil {
				f.answer.Body.Close()
			}
			n = next
			continue
		case retry.Overloaded:
			return mcp.Overloaded("retry_budget", time.Second)
		case retry.NoAuthority:
			return f.failure.NoAuthority()
		}
		if f.answer != nil {
			copyThrough(o.w, f.answer)
			return nil
		}
		return mcp.NothingFits("no_node", time.Second)
	}
}

func (o *opener) decide(f *fault, more bool) retry.Action {
	in := retry.In{Era: mcp.Legacy, Class: mcp.Hedge, Progress: f.progress, Failure: f.failure,
		Attempt: o.seen, MaxAttempts: maxSeen, Candidates: more}
	if f.answer != nil {
		in.Status = f.answer.StatusCode
	}
	if in.WantsBudget() {
		in.BudgetOK = o.m.cfg.Budget.Take(time.Now(), in.Lost())
	}
	return retry.Decide(in)
}

// attempt asks one node and passes its answer on; nil means that the agent has been answered. An agent
// that leaves ends it: there is no session yet that should be kept for it.
func (o *opener) attempt(n Node) *fault {
	resp, err := n.Do(o.ctx, &upstream.Request{Method: http.MethodPost, Header: o.in.Header, Body: o.in.Body})
	if err != nil {
		return o.fault(faultOfDo(err))
	}
	switch id := resp.Header.Get(keySession); {
	case resp.StatusCode == 502 || resp.StatusCode == 503 || resp.StatusCode == 504:
		return o.fault(&fault{progress: upstream.Done, answer: resp})
	case resp.StatusCode != http.StatusOK || id == "":
		copyThrough(o.w, resp)
		return nil
	default:
		defer resp.Body.Close()
		m, err := readMessage(resp, o.id)
		if err != nil {
			f := faultOfDo(err)
			f.progress = upstream.Responding
			return o.fault(f)
		}
		o.open(n, id, resp, m)
		return nil
	}
}

func (o *opener) fault(f *fault) *fault {
	if f.progress != upstream.NotSent {
		o.seen++
	}
	return f
}
