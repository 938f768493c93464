package session

import (
	"net/http"

	"github.com/quorate/quorate/gateway/mcp"
)

// batch puts messages together again.
type batch struct{ out []byte }

// add appends a member; nil adds nothing.
func (b *batch) add(member []byte) {
	if member == nil {
		return
	}
	if b.out == nil {
		b.out = append(b.out, '[')
	} else {
		b.out = append(b.out, ',')
	}
	b.out = append(b.out, member...)
}

// bytes returns the batch, nil if it has no member.
func (b *batch) bytes() []byte {
	if b.out == nil {
		return nil
	}
	return append(b.out, ']')
}

// serveBatch forwards an agent's batch (2025-03-26) as one call. Its answers to nodes' requests go to
// those nodes by themselves.
func (s *session) serveBatch(w http.ResponseWriter, r *http.Request, in *Call) bool {
	if s.version > mcp.Version20250326 {
		mcp.WriteError(w, mcp.InvalidRequest("batches are not part of protocol version "+s.version), nil)
		return true
	}
	var members []mcp.Span
	changes := false
	if err := mcp.ScanBatch(in.Body, func(at mcp.Span, e mcp.Envelope) error {
		members = append(members, at)
		changes = changes || sets(e.Method)
		return nil
	}); err != nil {
		mcp.WriteError(w, mcp.ScanError(err), nil)
		return true
	}
	if changes {
		if err := s.refusedTo(r); err != nil {
			mcp.WriteError(w, asError(err), nil)
			return true
		}
	}
	var out batch
	var ids []string
	for _, at := range members {
		member, id := s.batchMember(at.Of(in.Body))
		out.add(member)
		if id != "" {
			ids = append(ids, id)
		}
	}
	if out.out == nil {
		w.WriteHeader(http.StatusAccepted)
		return true
	}
	in.Body = out.bytes()
	c := s.newCall(in, ids)
	c.sets, c.how = changes, waits(w, Change)
	return c.serve(w, r)
}

// batchMember returns what of a member goes to the session's node, and the id of a request.
func (s *session) batchMember(member []byte) (forward []byte, id string) {
	env, err := mcp.Scan(member)
	if err != nil {
		return member, ""
	}
	if p, answer, mapped := s.backwards(&env, member); mapped {
		if answer != nil {
			s.m.work(func() { s.whisper(p.ctx, p, answer) })
		}
		return nil, ""
	}
	s.memory.note(&env, member)
	if env.Kind == mcp.KindRequest {
		id = string(env.ID.Of(member))
	}
	return member, id
}

// backwards maps an agent's message that belongs to a node's request: its answer, or progress on it.
// It reports false for any other message; a message of nil bytes is to be absorbed.
func (s *session) backwards(env *mcp.Envelope, body []byte) (p *pin, message []byte, mapped bool) {
	var ok bool
	switch {
	case env.Kind == mcp.KindResponse:
		p, message, ok = s.asks.answer(*env, body)
	case env.Kind == mcp.KindNotification && env.Method == mcp.NotificationProgress:
		p, message, ok = s.asks.progress(*env, body)
	default:
		return nil, nil, false
	}
	if !ok || p.ctx.Err() != nil {
		return nil, nil, true
	}
	return p, message, true
}
