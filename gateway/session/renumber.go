package session

import (
	"crypto/sha256"
	"slices"
	"strconv"
	"sync"

	"github.com/quorate/quorate/gateway/mcp"
)

// maxAsks bounds the node's requests that wait for the agent's answer in one session.
const maxAsks = 256

// asks are the requests that nodes made of the agent. Every node counts its own ids from the start,
// so the agent sees numbers of the gateway's instead, which never come twice in a session.
type asks struct {
	mu   sync.Mutex
	last uint64
	open map[uint64]*ask
	old  []uint64 // in the order they were asked, some of them closed
}

// digest stands for a question: the question itself may have megabytes.
type digest [sha256.Size]byte

// ask is one such request.
type ask struct {
	number   uint64
	pin      *pin   // who waits for the answer
	id       string // under which id, as written
	token    string // the node's progress token, as written
	question digest // of the message without what differs between two nodes asking the same
	answer   []byte // the agent's, kept for another node asking the same in a call sent again
	answered bool
}

// add renumbers a node's request. c is the call on whose stream it came, nil on the standalone one.
// It returns the message for the agent; or none when the same was already asked in this call, which
// a node before it did not live to hear: then the returned ask may already have its answer.
func (a *asks) add(p *pin, c *call, env mcp.Envelope, body []byte) ([]byte, *ask) {
	id, token := string(env.ID.Of(body)), string(env.ProgressToken.Of(body))
	question := digest(sha256.Sum256(renumber(env, body, []byte("0"))))
	a.mu.Lock()
	defer a.mu.Unlock()
	if q := c.asked(p, question); q != nil {
		q.pin, q.id, q.token = p, id, token
		return nil, q
	}
	a.last++
	q := &ask{number: a.last, pin: p, id: id, token: token, question: question}
	if a.open == nil {
		a.open = make(map[uint64]*ask)
	}
	a.open[q.number] = q
	a.old = append(a.old, q.number)
	a.bound()
	if c != nil {
		c.remember(q)
	}
	return renumber(env, body, strconv.AppendUint(nil, q.number, 10)), q
}

// bound forgets the oldest requests beyond maxAsks; answers to them are absorbed.
func (a *asks) bound() {
	if len(a.old) > 2*maxAsks {
		a.old = slices.DeleteFunc(a.old, func(n uint64) bool { return a.open[n] == nil })
	}
	for len(a.open) > maxAsks {
		delete(a.open, a.old[0])
		a.old = a.old[1:]
	}
}

// renumber puts number in the place of the id and of the progress token.
func renumber(env mcp.Envelope, body, number []byte) []byte {
	first, second := env.ID, env.ProgressToken
	if second.Start > first.Start {
		first, second = second, first
	}
	// From the back, so that the span before it stays valid.
	return mcp.ReplaceSpan(mcp.ReplaceSpan(body, first, number), second, number)
}

// remember keeps what was asked in the call, the latest of it: a node can go on asking for ever.
func (c *call) remember(q *ask) {
	if len(c.asks) >= maxAsks {
		c.asks = slices.Delete(c.asks, 0, 1)
	}
	c.asks = append(c.asks, q)
}

// asked returns the ask of an earlier node with the same question, if the call was sent again.
func (c *call) asked(p *pin, question digest) *ask {
	if c == nil || !c.again.Load() {
		return nil
	}
	for _, q := range c.asks {
		if q.pin != p && q.question == question {
			return q
		}
	}
	return nil
}

// answered notes the agent's answer and returns the ask, with the place its answer goes to. It
// reports false for an answer to nothing that is known, which the gateway absorbs.
func (a *asks) answer(env mcp.Envelope, body []byte) (p *pin, message []byte, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	q := a.find(env.ID.Of(body))
	if q == nil || q.answered {
		return nil, nil, false
	}
	q.answered, q.answer = true, append([]byte(nil), body...)
	delete(a.open, q.number)
	return q.pin, mcp.ReplaceSpan(body, env.ID, []byte(q.id)), true
}

// again returns the kept answer of q as q's present node expects it, nil if the agent has not answered.
func (a *asks) again(q *ask) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !q.answered {
		return nil
	}
	env, err := mcp.Scan(q.answer)
	if err != nil {
		return nil
	}
	return mcp.ReplaceSpan(q.answer, env.ID, []byte(q.id))
}

// progress maps the agent's progress on a node's request back to the token that the node chose.
func (a *asks) progress(env mcp.Envelope, body []byte) (p *pin, message []byte, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	q := a.find(env.ProgressToken.Of(body))
	if q == nil || q.token == "" {
		return nil, nil, false
	}
	return q.pin, mcp.ReplaceSpan(body, env.ProgressToken, []byte(q.token)), true
}

func (a *asks) find(number []byte) *ask {
	n, err := strconv.ParseUint(string(number), 10, 64)
	if err != nil {
		return nil
	}
	return a.open[n]
}

// cancelled maps a node's cancellation of its own request to the number that the agent knows.
func (a *asks) cancelled(p *pin, env mcp.Envelope, body []byte) ([]byte, bool) {
	id := string(env.RequestID.Of(body))
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, q := range a.open {
		if q.pin == p && q.id == id {
			delete(a.open, q.number)
			return mcp.ReplaceSpan(body, env.RequestID, strconv.AppendUint(nil, q.number, 10)), true
		}
	}
	return nil, false
}

// close forgets what was asked in a call that is over.
func (a *asks) close(c *call) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, q := range c.asks {
		delete(a.open, q.number)
	}
	c.asks = nil
}
