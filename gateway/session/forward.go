package session

import (
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/quorate/quorate/gateway/mcp"
)

// copyBuffer is the size of the buffer that answers are copied through. One that fits is read whole
// before its status goes out, so that a node that dies in the middle of it costs another attempt and
// not a cut document, which ends some agents' connections.
const copyBuffer = 32 << 10

// Serve answers a POST that names a session. It reports false, with nothing done or written, if the session is not
// owned here: Locate finds it.
func (m *Manager) Serve(w http.ResponseWriter, r *http.Request, in Call) bool {
	s, answered := m.lookup(w, r, in.Header)
	if s == nil {
		return answered
	}
	defer s.exit()
	switch in.Envelope.Kind {
	case mcp.KindRequest:
		return s.serveRequest(w, r, &in)
	case mcp.KindBatch:
		return s.serveBatch(w, r, &in)
	case mcp.KindNotification:
		return s.serveNotification(w, r, &in)
	case mcp.KindResponse:
		s.serveResponse(w, &in)
	default:
		mcp.WriteError(w, mcp.InvalidRequest("not a JSON-RPC message"), nil)
	}
	return true
}

func (s *session) serveRequest(w http.ResponseWriter, r *http.Request, in *Call) bool {
	id := in.Envelope.ID.Of(in.Body)
	changes := sets(in.Envelope.Method)
	if changes {
		if err := s.refusedTo(r); err != nil {
			writeFailure(w, in.Envelope.Method, err, id)
			return true
		}
	}
	undo, ok := s.memory.note(&in.Envelope, in.Body)
	if !ok {
		mcp.WriteAnswer(w, in.Envelope.Method, mcp.Overloaded("subscriptions", 0), id)
		return true
	}
	c := s.newCall(in, []string{string(id)})
	c.undo, c.sets, c.how = undo, changes, waits(w, Change)
	return c.serve(w, r)
}

// serve carries the call to a node and its answer back. It ignores that the agent may leave: legacy
// agents cancel by saying so, and come back for what they missed. It reports false, with nothing done or written,
// if the session has just stopped being owned here.
func (c *call) serve(w http.ResponseWriter, r *http.Request) bool {
	if err := c.s.begin(c); err != nil {
		c.takeBack()
		writeFailure(w, c.method, err, c.first)
		return true
	}
	if err := c.commit(); err != nil {
		c.s.finish(c)
		if errors.Is(err, ErrTaken) {
			return false
		}
		writeFailure(w, c.method, err, c.first)
		return true
	}
	p, resp, err := c.walk(nil) //nolint:bodyclose // serveEvents and copyAnswer close it
	for err == nil {
		if resp.StatusCode == http.StatusOK && isEventStream(resp.Header) {
			c.serveEvents(w, r, p, resp)
			return true
		}
		f := c.passOn(w, p, resp)
		if f == nil {
			c.s.finish(c)
			return true
		}
		c.s.examine(p, f)
		p, resp, err = c.walk(f) //nolint:bodyclose // as above
	}
	c.s.finish(c)
	err = c.unmade(err)
	if c.seen == 0 && !c.committed && !c.s.owned() {
		return false
	}
	writeFailure(w, c.method, err, c.first)
	return true
}

// passOn is copyAnswer for a call that was begun: one whose answer breaks off towards the agent takes this goroutine along,
// and ends all the same.
func (c *call) passOn(w http.ResponseWriter, p *pin, resp *http.Response) *fault {
	broken := true
	defer func() {
		if broken {
			c.s.finish(c)
		}
	}()
	f := c.copyAnswer(w, p, resp)
	broken = false
	return f
}

// copyAnswer passes an answer on that is no event stream. It returns a fault if it broke off before
// anything was passed on; behind that point it can only break off towards the agent too.
func (c *call) copyAnswer(w http.ResponseWriter, p *pin, resp *http.Response) *fault {
	defer resp.Body.Close()
	buf := c.s.m.buffers.Get().(*[]byte)
	defer c.s.m.buffers.Put(buf)
	n, err := fill(resp.Body, *buf)
	head, whole := (*buf)[:n], errors.Is(err, io.EOF)
	if err != nil && !whole {
		return faultOfBody(p, err)
	}
	if whole {
		if err := c.answered(p, resp.StatusCode, head); err != nil {
			writeFailure(w, c.method, err, c.first)
			return nil
		}
	}
	copyHeader(w.Header(), resp.Header)
	if whole && n > 0 {
		w.Header().Set("Content-Length", strconv.Itoa(n))
	}
	w.WriteHeader(resp.StatusCode)
	if _, err := w.Write(head); err != nil || whole {
		return nil
	}
	c.copyRest(w, resp, *buf)
	return nil
}

// fill reads until buf is full (nil) or the body has ended (io.EOF itself) or broken off.
func fill(body io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var m int
		m, err = body.Read(buf[n:])
		n += m
	}
	return n, err
}

// answered looks at a whole answer that is no event stream, if anything depends on it. An error is what the agent is told
// instead.
func (c *call) answered(p *pin, status int, data []byte) error {
	if c.undo == nil && !c.sets {
		return nil
	}
	env, err := mcp.Scan(data)
	switch {
	case status >= http.StatusMultipleChoices, err == nil && env.HasError:
		if !c.takeBack() {
			return mcp.OutcomeUnknown("session_store")
		}
	case err == nil:
		return c.confirm(p)
	}
	return nil
}

func (c *call) copyRest(w http.ResponseWriter, resp *http.Response, buf []byte) {
	for {
		n, err := resp.Body.Read(buf)
		if _, werr := w.Write(buf[:n]); werr != nil || errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			panic(http.ErrAbortHandler) // the agent must not take the part for the whole
		}
	}
}

// serveEvents passes an event stream on. The stream outlives this request: its pump goes on when the
// agent is gone, and the agent can come back for it.
func (c *call) serveEvents(w http.ResponseWriter, r *http.Request, p *pin, resp *http.Response) {
	c.keep()
	st := c.s.streams.open(c.ids)
	rd := st.attachEnd()
	if c.s.kept() && !c.s.m.cfg.Alone && c.s.version >= mcp.Version20251125 {
		st.prime()
	}
	copyHeader(w.Header(), resp.Header)
	if !c.s.m.work(func() { c.pump(st, p, resp) }) {
		resp.Body.Close()
		c.s.finish(c)
		writeFailure(w, c.method, errShutdown, c.first)
		return
	}
	w.WriteHeader(http.StatusOK)
	st.follow(r.Context(), w, rd)
}
