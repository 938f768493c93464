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
// the rest of any stream. header is as in Call. It reports false, with nothing written, if the session is not owned here.
func (m *Manager) ServeStream(w http.ResponseWriter, r *http.Request, pool Pool, header http.Header) bool {
	s, answered := m.lookup(w, r, header)
	if s == nil {
		return answered
	}
	defer s.exit()
	if id := r.Header.Get(keyLastEventID); id != "" {
		s.serveResume(w, r, id)
		return true
	}
	s.serveListen(w, r, pool)
	return true
}

// serveResume continues a stream behind an event. An id that cannot be honoured is refused at once:
// an agent that waits for events which never come has no way to find out.
func (s *session) serveResume(w http.ResponseWriter, r *http.Request, id string) {
	pos, ok := parseEventID(s.hash, id)
	switch {
	case !ok: // before a stream is looked for: its reader would have been put off for nobody
		refuseResume(w)
		return
	case pos.last:
		http.Error(w, "the stream has ended", http.StatusMethodNotAllowed) // the one answer after which nobody asks again
		return
	case s.streams.before(pos):
		s.serveBefore(w, r, pos)
		return
	}
	st, rd, kept := s.streams.resume(pos)
	if !kept {
		refuseResume(w)
		return
	}
	if c := s.streams.unpark(st); c != nil && !s.m.work(func() { c.resume(st) }) {
		c.close(st)
	}
	serveStream(w, r, st, rd)
}

func refuseResume(w http.ResponseWriter) {
	http.Error(w, "Last-Event-ID is not known, or too old to resume from", http.StatusBadRequest)
}

// serveBefore continues a stream of the gateway that had the session before. Of the standalone one the agent gets
// everything since; what it missed in between it is told by the listener. A call's answer is lost, and some agents
// would give up the session if they were told so in any other way than by an answer.
func (s *session) serveBefore(w http.ResponseWriter, r *http.Request, pos position) {
	if pos.stream == listenStream {
		s.listenAgain(true)
		st := s.streams.listen()
		serveStream(w, r, st, st.attachFirst())
		return
	}
	if pos.requests == nil {
		refuseResume(w)
		return
	}
	st := &stream{buffer: newBuffer(s.streams.limit), prefix: eventPrefix(s.hash, pos.stream)}
	rd := st.attachFirst()
	s.m.hooks.Unknown()
	for _, id := range pos.requests {
		st.last(mcp.OutcomeUnknown("gateway_lost").Body([]byte(id)))
	}
	st.end()
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
	rd := s.firstReader(st)
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

// firstReader is that of an agent that does not say where it was. In a restored session it may have been waiting for
// what came since.
func (s *session) firstReader(st *stream) *reader {
	if s.streams.epoch > 0 && st.untouched() {
		return st.attachFirst()
	}
	return st.attachEnd()
}

// listen opens the standalone stream at the node, if it is not open, and starts its pump. An answer
// that is no event stream is returned.
func (s *session) listen(st *stream, pool Pool) (*http.Response, error) {
	if s.listens.Swap(true) {
		return nil, nil //nolint:nilnil // neither an answer nor a failure: the stream is open, or its pump opens it
	}
	l, resp, err := s.firstStream(st, pool)
	if l == nil {
		s.listens.Store(false)
		return resp, err
	}
	s.listens.Store(s.m.work(l.run))
	s.keepAside()
	return nil, nil //nolint:nilnil // neither an answer nor a failure: the stream is open
}

// firstStream asks for the stream while the agent waits. A node that says that it has the stream already still has that
// of a gateway which is gone: the pump asks again until that has been noticed.
func (s *session) firstStream(st *stream, pool Pool) (*listener, *http.Response, error) {
	for range maxOpens {
		p, err := s.settled(pool)
		if err != nil {
			return nil, nil, err
		}
		l := &listener{s: s, st: st, pin: p, pause: firstPause}
		resp, err := l.get(p)
		if err != nil {
			s.examine(p, faultOf(p, err))
			continue
		}
		if s.disowned(p, resp, nil) != nil {
			resp.Body.Close()
			continue
		}
		switch {
		case resp.StatusCode == http.StatusConflict:
			discard(resp)
		case resp.StatusCode != http.StatusOK || !isEventStream(resp.Header):
			return nil, resp, nil
		default:
			l.resp = resp
		}
		return l, nil, nil
	}
	return nil, nil, mcp.NothingFits("no_node", time.Second)
}

// get opens a stream at the node; eventID is the node's own, to resume from.
func (s *session) get(ctx context.Context, p *pin, eventID string) (*http.Response, error) {
	return p.do(ctx, http.MethodGet, listening(s.credentials(), s.version), nil,
		upstream.Field{Name: keyLastEventID, Value: eventID})
}
