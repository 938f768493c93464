package gateway

import (
	"errors"
	"io"
	"net/http"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/upstream"
)

// maxEvent bounds one server-sent event of a node, in bytes.
const maxEvent = 16 << 20

var errAgentGone = errors.New("gateway: agent went away")

// stream passes a node's events to the agent, each flushed as it comes. A stream that breaks before
// its response came can go on from another node: the JSON-RPC id is the same there, so the agent sees
// one stream (progress that does not increase is left out).
func (c *call) stream(node *upstream.Node, resp *http.Response) (Outcome, error) {
	c.flushBeforeWaiting(resp)
	switch {
	case !c.streaming:
		// Its length ends with its node: what follows from another one, or an error, would not fit it.
		resp.ContentLength = -1
		resp.Header.Del("Content-Length")
		c.head(resp)
		c.streaming, c.unflushed = true, true
	case resp.StatusCode != http.StatusOK:
		return 0, &upstream.Error{Node: node.ID(), Progress: upstream.Responding, Failure: upstream.Malformed, Err: errNotStream}
	default:
		c.p.counters.spliced.Add(1)
	}
	events := mcp.NewEventReader(resp.Body, maxEvent)
	answered := false
	for {
		event, err := events.Next()
		if err != nil {
			return c.streamEnd(node, answered, err)
		}
		final, pass := c.inspect(node, &event)
		answered = answered || final
		if final && c.keyed != nil {
			c.flush() // what came before need not wait
			c.keyed.answered(event.Data)
		}
		if pass && !c.writeRaw(event.Raw) {
			return 0, errAgentGone
		}
	}
}

var errNotStream = errors.New("gateway: a stream can only go on with a stream")

// flushBeforeWaiting passes on whatever has been written as soon as the node has nothing more to read:
// every event at once, but events that arrived together in one write.
func (c *call) flushBeforeWaiting(resp *http.Response) {
	body, ok := resp.Body.(interface{ BeforeWait(func()) })
	if !ok {
		return
	}
	body.BeforeWait(c.flush)
}

// flush passes on what was written. An agent that is gone shows at the next write.
func (c *call) flush() {
	if c.unflushed {
		c.unflushed = false
		_ = http.NewResponseController(c.w).Flush()
	}
}

// streamEnd: a stream that its node ended in good order is passed on as it is, answered or not (a node
// may end one to have the agent poll); only a broken one is a lost node.
func (c *call) streamEnd(node *upstream.Node, answered bool, err error) (Outcome, error) {
	var broken *upstream.Error
	switch {
	case answered:
		return OK, nil
	case errors.As(err, &broken):
		return 0, broken
	case errors.Is(err, io.EOF):
		return OK, nil
	}
	return 0, &upstream.Error{Node: node.ID(), Progress: upstream.Responding, Failure: upstream.Reset, Err: err}
}

// inspect reports whether an event is the request's answer and whether the agent should get it.
func (c *call) inspect(node *upstream.Node, event *mcp.Event) (final, pass bool) {
	if len(event.Data) == 0 {
		return false, true
	}
	e, err := mcp.Scan(event.Data)
	if err != nil {
		return false, true
	}
	switch e.Kind {
	case mcp.KindResponse:
		final = mcp.SameID(e.ID.Of(event.Data), c.id)
		if final {
			c.learn(node, &e)
		}
	case mcp.KindNotification:
		if e.Method == mcp.NotificationProgress {
			return false, c.advances(e.Progress)
		}
	}
	return final, true
}

// advances drops progress told before by a node that is gone; a first node's own order is not judged.
func (c *call) advances(progress float64) bool {
	if c.attempts > 1 && c.told && progress <= c.progress {
		return false
	}
	if !c.told || progress > c.progress {
		c.progress, c.told = progress, true
	}
	return true
}

// embed puts a plain JSON answer into the stream that another node had begun.
func (c *call) embed(node *upstream.Node, resp *http.Response) (Outcome, error) {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxEvent+1))
	if err != nil {
		return 0, err
	}
	if len(body) > maxEvent || resp.StatusCode != http.StatusOK {
		return 0, &upstream.Error{Node: node.ID(), Progress: upstream.Responding, Failure: upstream.Malformed, Err: errNotStream}
	}
	c.p.counters.spliced.Add(1)
	c.keyed.answered(body)
	if !c.writeEvent(mcp.Event{Data: body}) {
		return 0, errAgentGone
	}
	return OK, nil
}

func (c *call) writeEvent(e mcp.Event) bool { return c.writeRaw(mcp.AppendEvent(nil, e)) }

func (c *call) writeRaw(raw []byte) bool {
	c.unflushed = true
	_, err := c.w.Write(raw)
	return err == nil
}
