package session

import (
	"net/http"

	"github.com/quorate/quorate/gateway/mcp"
)

// serveResponse takes the agent's answer to a node's request to that node. If it is gone, so is who
// asked, and the answer is absorbed.
func (s *session) serveResponse(w http.ResponseWriter, in *Call) {
	s.serveBackwards(w, in)
}

func (s *session) serveBackwards(w http.ResponseWriter, in *Call) {
	p, body, _ := s.backwards(&in.Envelope, in.Body)
	if body == nil {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	resp, err := p.do(p.ctx, http.MethodPost, in.Header, body)
	if err != nil {
		s.examine(p, faultOf(p, err))
		w.WriteHeader(http.StatusAccepted)
		return
	}
	defer discard(resp)
	if resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden {
		copyHeader(w.Header(), resp.Header)
		w.WriteHeader(resp.StatusCode)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// serveNotification forwards a notification.
func (s *session) serveNotification(w http.ResponseWriter, r *http.Request, in *Call) bool {
	switch in.Envelope.Method {
	case mcp.NotificationProgress:
		s.serveBackwards(w, in)
		return true
	case mcp.NotificationInitialized:
		s.serveInitialized(w, in)
		return true
	case mcp.NotificationCancelled:
		s.cancelCall(string(in.Envelope.RequestID.Of(in.Body)))
		in.Class = mcp.Retry // a node that does not know the request ignores it
	case mcp.NotificationRootsChanged:
		in.Class = mcp.Retry // it only makes the node ask
	}
	return s.newCall(in, nil).serve(w, r)
}

// cancelCall keeps a call that the agent has cancelled from being sent again.
func (s *session) cancelCall(id string) {
	if c := s.find(func(c *call) bool { return string(c.first) == id }); c != nil {
		c.canceled.Store(true)
	}
}

// serveInitialized forwards notifications/initialized. A move repeats it by itself, and a node must
// not get it twice.
func (s *session) serveInitialized(w http.ResponseWriter, in *Call) {
	if err := s.refused(); err != nil {
		writeFailure(w, "", err, nil)
		return
	}
	s.memory.note(&in.Envelope, in.Body)
	c := s.newCall(in, nil)
	defer c.stop()
	p, err := s.settled(in.Pool)
	if err != nil {
		writeFailure(w, "", err, nil)
		return
	}
	resp, err := c.send(p)
	if f := c.judge(p, resp, err); f == nil {
		if err := s.keep(Change); err != nil {
			resp.Body.Close()
			writeFailure(w, "", err, nil)
			return
		}
		if f = c.copyAnswer(w, p, resp); f == nil {
			return
		}
	}
	if _, err = s.settled(in.Pool); err == nil {
		err = s.keep(Change)
	}
	if err != nil {
		writeFailure(w, "", err, nil)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}
