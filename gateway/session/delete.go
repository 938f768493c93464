package session

import (
	"net/http"

	"github.com/quorate/quorate/gateway/mcp"
)

// ServeDelete ends a session at the agent's wish. From then on its id is unknown for good. A node that
// does not let agents end sessions says so, and the session stays.
// It reports false, with nothing done or written, if the session is not owned here.
func (m *Manager) ServeDelete(w http.ResponseWriter, r *http.Request, _ Pool, header http.Header) bool {
	s, answered := m.lookup(w, r, header)
	if s == nil {
		return answered
	}
	defer s.exit()
	if err := s.endless(); err != nil {
		mcp.WriteError(w, err, nil)
		return true
	}
	// The node ends the session's streams before it answers, which must not look like a loss.
	s.leaving.Store(true)
	p := s.where()
	resp, err := p.do(r.Context(), http.MethodDelete, header, nil)
	if err == nil {
		defer discard(resp)
		if resp.StatusCode == http.StatusMethodNotAllowed || resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden {
			s.leaving.Store(false)
			s.passOn(w, resp)
			return true
		}
	}
	err = s.erase(Change)
	switch own := asError(err); {
	case err == nil:
		s.end(errDeleted)
		w.WriteHeader(http.StatusNoContent)
	case own.Code == mcp.CodeNoAuthority: // its node has ended it, and it may be deleted, or be yet: who asks for it is told what it is by then
		s.end(errDeleted)
		mcp.WriteError(w, mcp.OutcomeUnknown(own.Reason), nil)
	default:
		s.leaving.Store(false)
		mcp.WriteError(w, own, nil)
	}
	return true
}

// where returns the session's present stay, lost or not.
func (s *session) where() *pin {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pin
}

// passOn copies a small answer.
func (s *session) passOn(w http.ResponseWriter, resp *http.Response) {
	copyHeader(w.Header(), resp.Header)
	w.WriteHeader(resp.StatusCode)
	buf := s.m.buffers.Get().(*[]byte)
	defer s.m.buffers.Put(buf)
	n, _ := fill(resp.Body, *buf)
	_, _ = w.Write((*buf)[:n])
}
