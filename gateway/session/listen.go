package session

import (
	"context"
	"net/http"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/upstream"
)

// maxOpens bounds the attempts to open the standalone stream for an agent that waits.
const maxOpens = 3

// ServeStream answers a GET that names a session: the standalone event stream, or with Last-Event-ID
// the rest of any stream. header is as in Call.
func (m *Manager) ServeStream(w http.ResponseWriter, r *http.Request, pool Pool, header http.Header) {
	s, ok := m.lookup(r)
	if !ok {
		unknownSession(w)
		return
	}
	defer s.enter(header)()
	if id := r.Header.Get(keyLastEventID); id != "" {
		s.serveResume(w, r, id)
		return
	}
	s.serveListen(w, r, pool)
}

// serveResume continues a stream behind an event. An id that cannot be honoured is refused at once:
// an agent that waits for events which never come has no way to find out.
func (s *session) serveResume(w http.ResponseWriter, r *http.Request, id string) {
	st, rd, ok := s.streams.resume(id)
	if !ok {
		http.Error(w, "Last-Event-ID is not known, or too old to resume from", http.StatusBadRequest)
		return
	}
	if c := s.streams.unpark(st); c != nil && !s.m.work(func() { c.resume(st) }) {
		c.close(st)
	}
	serveStream(w, r, st, rd)
}

func serveStream(w http.ResponseWriter, r *http.Request, st *stream, rd *reader) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache, no-transform")
	w.WriteHeader(http.StatusOK)
	st.follow(r.Context(), w, rd)
}

// serveListen opens the standalone stream, or hands the open one to the agent's new request.
func (s *session) serveListen(w http.ResponseWriter, r *http.Request, pool Pool) {
	select {
	case s.reading <- struct{}{}:
	case <-r.Context().Done():
		return
	}
	st := s.streams.listen()
	rd := st.attachEnd()
	resp, err := s.listen(st, pool)
	<-s.reading
	switch {
	case err != nil:
		st.detach(rd)
		writeFailure(w, "", err, nil)
	case resp != nil: // an answer that is no stream: the node has none, or refuses
		st.detach(rd)
		defer resp.Body.Close()
		s.passOn(w, resp)
	default:
		serveStream(w, r, st, rd)
	}
}

// listen opens the standalone stream at the node, if it is not open, and starts its pump. An answer
// that is no event stream is returned.
func (s *session) listen(st *stream, pool Pool) (*http.Response, error) {
	if s.listens.Load() {
		return nil, nil //nolint:nilnil // neither an answer nor a failure: the stream is open
	}
	for range maxOpens {
		p, err := s.settled(pool)
		if err != nil {
			return nil, err
		}
		resp, err := s.get(p.ctx, p, "")
		if err != nil {
			s.examine(p, faultOf(p, err))
			continue
		}
		if s.disowned(p, resp, nil) != nil {
			resp.Body.Close()
			continue
		}
		if resp.StatusCode != http.StatusOK || !isEventStream(resp.Header) {
			return resp, nil
		}
		l := &listener{s: s, st: st, pin: p, resp: resp, pause: firstPause}
		s.listens.Store(s.m.work(l.run))
		return nil, nil //nolint:nilnil // neither an answer nor a failure: the stream is open
	}
	return nil, mcp.NothingFits("no_node", time.Second)
}

// get opens a stream at the node; eventID is the node's own, to resume from.
func (s *session) get(ctx context.Context, p *pin, eventID string) (*http.Response, error) {
	return p.do(ctx, http.MethodGet, listening(s.credentials(), s.version), nil,
		upstream.Field{Name: keyLastEventID, Value: eventID})
}
