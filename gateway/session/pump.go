package session

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/upstream"
)

// lastWords is how long a node may take to end a stream whose answer has been passed on.
const lastWords = time.Second

// pump carries a call's events into its stream until every request in it is answered: from its node,
// from the next one if that is lost, or until the agent comes back if the node asks for that.
func (c *call) pump(st *stream, p *pin, resp *http.Response) {
	for {
		f := c.drain(st, p, resp)
		if f == nil {
			c.s.streams.close(st, time.Now())
			c.rest(resp)
			c.s.finish(c)
			return
		}
		resp.Body.Close()
		if f.closed && st.nodeID != "" {
			c.s.streams.park(st, c)
			return
		}
		if p, resp = c.recover(st, p, f); resp == nil {
			c.close(st)
			return
		}
	}
}

func (c *call) close(st *stream) {
	c.s.streams.close(st, time.Now())
	c.s.finish(c)
}

// rest reads what a node still sends after the answer, for the sake of its connection.
func (c *call) rest(resp *http.Response) {
	timer := time.AfterFunc(lastWords, c.stop)
	defer timer.Stop()
	discard(resp)
}

// resume goes on with a parked call, now that the agent has come back for it.
func (c *call) resume(st *stream) {
	f := &fault{progress: upstream.Responding, failure: upstream.Reset}
	p, resp := c.recover(st, st.from, f)
	if resp == nil {
		c.close(st)
		return
	}
	c.pump(st, p, resp)
}

// recover gets the stream going again after f: at the same node if that can take it up where it broke
// off, otherwise with another attempt. Without one the agent is told, and there is no response.
func (c *call) recover(st *stream, p *pin, f *fault) (*pin, *http.Response) {
	c.s.examine(p, f)
	if st.nodeID != "" && !p.lost.Load() {
		resp, err := c.s.get(p.ctx, p, st.nodeID)
		if err == nil && resp.StatusCode == http.StatusOK && isEventStream(resp.Header) {
			return p, resp
		}
		if err == nil {
			discard(resp)
		}
	}
	st.nodeID = ""
	for {
		var resp *http.Response
		var err error
		p, resp, err = c.walk(f)
		if err != nil {
			c.fail(st, err)
			return nil, nil
		}
		if resp.StatusCode == http.StatusOK && isEventStream(resp.Header) {
			return p, resp
		}
		if f = c.splice(st, p, resp); f == nil {
			return nil, nil
		}
		c.s.examine(p, f)
	}
}

// splice passes a whole JSON answer on in a stream that another node began.
func (c *call) splice(st *stream, p *pin, resp *http.Response) *fault {
	defer resp.Body.Close()
	m, err := readMessage(resp, c.first)
	var broke *upstream.Error
	if errors.As(err, &broke) {
		return faultOfBody(p, err)
	}
	if err != nil || (m.env.Kind != mcp.KindResponse && m.env.Kind != mcp.KindBatch) {
		c.fail(st, mcp.NothingFits("status_"+strconv.Itoa(resp.StatusCode), 0))
		return nil
	}
	if c.deliver(st, p, mcp.Event{Name: "message", Data: m.data}) != nil || len(c.ids) > 0 {
		c.fail(st, mcp.OutcomeUnknown("incomplete"))
	}
	return nil
}

// fail answers every open request of the call with an error.
func (c *call) fail(st *stream, err error) {
	if c.committed {
		err = c.unmade(err)
	}
	own := asError(err)
	c.told(nil)
	for _, id := range c.ids {
		st.last(own.Body([]byte(id)))
	}
	c.ids = nil
}

// drain passes events on until the call is answered (nil) or the stream ends otherwise.
func (c *call) drain(st *stream, p *pin, resp *http.Response) *fault {
	events := mcp.NewEventReader(resp.Body, maxEvent)
	st.from = p
	for {
		ev, err := events.Next()
		if err != nil {
			return faultOfBody(p, err)
		}
		st.noteID(&ev)
		if ev.Comment {
			st.note(ev.Raw)
			continue
		}
		if err := c.deliver(st, p, ev); err != nil {
			return faultOfBody(p, err)
		}
		if len(c.ids) == 0 {
			return nil
		}
	}
}

// noteID keeps what resuming at the node needs.
func (st *stream) noteID(ev *mcp.Event) {
	if ev.HasID {
		st.nodeID = ev.ID
	}
	if ms, err := strconv.ParseUint(ev.Retry, 10, 31); err == nil {
		st.retry = time.Duration(ms) * time.Millisecond
	}
}
