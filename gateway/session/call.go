package session

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"sync/atomic"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/upstream"
)

// maxCalls bounds the calls of one session that are under way, those included whose agent has left.
const maxCalls = 256

// Call is one POST of the agent, as it goes to the nodes.
type Call struct {
	Envelope mcp.Envelope // of Body, by mcp.Scan
	Body     []byte       // read only; may be used again when the serving method has returned
	Class    mcp.RetryClass
	Pool     Pool            // of the table that the request loaded
	Header   http.Header     // end-to-end fields with canonical keys; kept, so not to be changed any more
	Permit   upstream.Permit // asked before every attempt; nil: it is no write
	Via      string          // the gateways that a write has passed, see upstream.Request
	// Answered is told the message that answers a single request in an event stream, before the agent can get it, and
	// nil if none will come of which more is known. It may wait. nil: nobody asks.
	Answered func(message []byte)
}

// call is a request (or a batch) of the agent on its way to an answer, over as many nodes as it takes.
type call struct {
	s      *session
	class  mcp.RetryClass
	method string
	ids    []string // as written, of the requests that are not answered yet
	first  []byte   // the id of a single request, nil otherwise
	body   []byte
	header http.Header
	pool   Pool
	permit upstream.Permit
	via    string
	told   func(message []byte)
	undo   func() // takes back what the request set, if its answer is an error
	sets   bool   // it sets something that the session's keeper is told before the agent is answered
	how    How    // the keeper is told

	committed bool // it was kept before the node was told

	attempts int
	seen     int         // of them, those that a node may have seen
	again    atomic.Bool // sent again after a node may have begun to work on it
	stop     context.CancelFunc
	canceled atomic.Bool // by the agent

	token    string // progress token as written, "" without
	reached  bool   // a progress was passed on; guarded by the session, as is
	progress float64
	asks     []*ask // guarded by the session's asks
}

func (s *session) newCall(in *Call, ids []string) *call {
	c := &call{s: s, class: in.Class, method: in.Envelope.Method, ids: ids, body: in.Body,
		header: in.Header, pool: in.Pool, permit: in.Permit, via: in.Via, token: string(in.Envelope.ProgressToken.Of(in.Body)),
		first: bytes.Clone(in.Envelope.ID.Of(in.Body)), stop: func() {}, told: in.Answered}
	if c.told == nil {
		c.told = func([]byte) {}
	}
	if in.Envelope.Kind == mcp.KindNotification {
		c.token = "" // notifications/progress names a token, it does not ask for progress
	}
	return c
}

// send makes one attempt.
func (c *call) send(p *pin) (*http.Response, error) {
	c.stop()
	ctx, stop := context.WithCancel(p.ctx)
	c.stop = stop
	c.attempts++
	header := c.header
	if c.attempts > 1 {
		header = renew(header, c.s.credentials())
	}
	return p.ask(ctx, &upstream.Request{Method: http.MethodPost, Header: header, Body: c.body, Permit: c.leave(), Via: c.via})
}

// keep makes the call independent of the request it came with, before that ends. The body of a call
// that may not be sent again once a node has begun to answer is not needed any more.
func (c *call) keep() {
	if c.class == mcp.Once {
		c.body = nil
		return
	}
	c.body = bytes.Clone(c.body)
}

// settle takes one id as answered, reporting false if it was not waiting.
func (c *call) settle(id string, failed bool) bool {
	i := slices.Index(c.ids, id)
	if i < 0 {
		i = slices.IndexFunc(c.ids, func(own string) bool { return mcp.SameID([]byte(own), []byte(id)) })
	}
	if i < 0 {
		return false
	}
	c.ids = slices.Delete(c.ids, i, i+1)
	if failed {
		c.takeBack()
	}
	return true
}

// advances reports whether a progress notification should go to the agent. After a second start the
// agent would see the work go backwards.
func (c *call) advances(env *mcp.Envelope) bool {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.reached && c.again.Load() && env.Progress <= c.progress {
		return false
	}
	c.reached, c.progress = true, max(c.progress, env.Progress)
	return true
}
