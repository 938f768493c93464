package gateway

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/upstream"
)

// deliver passes a node's answer to the agent. An *upstream.Error means that the node broke and the
// walk may go on; errBusy that the node asks for another one; any other error that the agent is gone.
func (c *call) deliver(node *upstream.Node, resp *http.Response) (Outcome, error) {
	if busy(resp.StatusCode) && c.class != mcp.Once {
		return 0, errBusy
	}
	defer resp.Body.Close()
	switch {
	case isEventStream(resp.Header):
		return c.stream(node, resp)
	case c.streaming:
		return c.embed(node, resp)
	case resp.ContentLength >= 0 && resp.ContentLength <= copyBuffer:
		return c.whole(node, resp)
	}
	return c.copy(resp)
}

func busy(status int) bool {
	return status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout
}

func outcomeOf(status int) Outcome {
	if status >= 400 {
		return NodeError
	}
	return OK
}

func isEventStream(h http.Header) bool {
	ct := h["Content-Type"]
	return len(ct) > 0 && strings.HasPrefix(ct[0], "text/event-stream")
}

// whole reads an answer to its end before a byte of it goes out.
func (c *call) whole(node *upstream.Node, resp *http.Response) (Outcome, error) {
	buf := c.g.buffers.get()
	defer func() { c.g.buffers.put(buf) }()
	body := (*buf)[:resp.ContentLength]
	if _, err := io.ReadFull(resp.Body, body); err != nil {
		return 0, err
	}
	finish(resp.Body)
	if bytes.Contains(body, taskIDKey) || bytes.Contains(body, requestStateKey) {
		if e, err := mcp.Scan(body); err == nil {
			c.learn(node, &e)
		}
	}
	c.head(resp)
	_, err := c.w.Write(body)
	if err != nil {
		buf = nil
	}
	return outcomeOf(resp.StatusCode), agentGone(err)
}

var (
	taskIDKey       = []byte(`"taskId"`)
	requestStateKey = []byte(`"requestState"`)
)

// finish reads the end of a body whose bytes are all here, so that its connection can be used again.
func finish(body io.Reader) {
	var b [1]byte
	_, _ = body.Read(b[:])
}

// copy streams an answer through as it comes. From its first byte on the agent has it.
func (c *call) copy(resp *http.Response) (Outcome, error) {
	buf := c.g.buffers.get()
	defer func() { c.g.buffers.put(buf) }()
	c.flushBeforeWaiting(resp)
	c.head(resp)
	c.unflushed = resp.ContentLength < 0
	for {
		n, err := resp.Body.Read(*buf)
		if n > 0 {
			if _, werr := c.w.Write((*buf)[:n]); werr != nil {
				buf = nil
				return Canceled, nil
			}
		}
		if err == io.EOF {
			return outcomeOf(resp.StatusCode), nil
		}
		if err != nil {
			// Half a document is out: only a broken connection tells the agent that it is half.
			panic(http.ErrAbortHandler)
		}
		c.unflushed = resp.ContentLength < 0
	}
}

// copyBusy passes a node's own refusal on when there is no other node to ask.
func (c *call) copyBusy(resp *http.Response) Outcome {
	defer resp.Body.Close()
	switch {
	case c.streaming && c.class != mcp.Hedge: // the node that began may have done it
		return c.fail(mcp.OutcomeUnknown("reset"), Unknown)
	case c.streaming:
		return c.fail(nothingFits("all_nodes_failed"), Unavailable)
	}
	outcome, err := c.copy(resp)
	if err != nil {
		return Canceled
	}
	return outcome
}

// head sends the node's status and header.
func (c *call) head(resp *http.Response) {
	h := c.w.Header()
	for name, values := range resp.Header {
		switch name {
		case "Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
			continue
		case "Vary":
			h[name] = append(h[name], values...) // the gateway may vary by Origin, too
			continue
		}
		if strings.HasPrefix(name, "Access-Control-") {
			continue // which pages may read an answer is the gateway's to say
		}
		h[name] = values
	}
	c.p.markSpilled(h, c.policy)
	if resp.ContentLength >= 0 {
		h["Content-Length"] = []string{strconv.FormatInt(resp.ContentLength, 10)}
	}
	c.w.WriteHeader(resp.StatusCode)
}

func agentGone(err error) error {
	if err == nil {
		return nil
	}
	return errAgentGone
}
