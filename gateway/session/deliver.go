package session

import (
	"context"

	"github.com/quorate/quorate/gateway/mcp"
)

// translator turns a node's message into the one the agent must see, nil for one it must not see.
type translator func(p *pin, env *mcp.Envelope, data []byte) []byte

// deliver passes one event of a call's stream on, as the agent must see it. What a node has said counts
// even if it dies while a slow agent has no room: only the session's end makes it fail.
func (c *call) deliver(st *stream, p *pin, ev mcp.Event) error {
	return deliver(c.s.ctx, st, p, ev, c.translate)
}

// deliver does the same for the standalone stream.
func (s *session) deliver(st *stream, p *pin, ev mcp.Event) error {
	return deliver(s.ctx, st, p, ev, s.translate)
}

func deliver(ctx context.Context, st *stream, p *pin, ev mcp.Event, translate translator) error {
	if len(ev.Data) == 0 || (ev.Name != "" && ev.Name != "message") {
		return st.event(ctx, ev)
	}
	env, err := mcp.Scan(ev.Data)
	if err != nil {
		return st.event(ctx, ev) // not ours to judge
	}
	if env.Kind == mcp.KindBatch {
		ev.Data = translateBatch(p, ev.Data, translate)
	} else {
		ev.Data = translate(p, &env, ev.Data)
	}
	if ev.Data == nil {
		return nil
	}
	return st.event(ctx, ev)
}

// translate is the translator of the standalone stream. Nodes that answer with plain JSON report the
// progress of calls here.
func (s *session) translate(p *pin, env *mcp.Envelope, data []byte) []byte {
	switch {
	case env.Kind == mcp.KindRequest:
		return s.ask(p, nil, env, data)
	case env.Method == mcp.NotificationCancelled:
		mapped, _ := s.asks.cancelled(p, *env, data)
		return mapped
	case env.Method == mcp.NotificationProgress:
		token := string(env.ProgressToken.Of(data))
		c := s.find(func(c *call) bool { return c.token == token })
		if token != "" && c != nil && !c.advances(env) {
			return nil
		}
	}
	return data
}

// translate is the translator of the call's own stream.
func (c *call) translate(p *pin, env *mcp.Envelope, data []byte) []byte {
	switch env.Kind {
	case mcp.KindResponse:
		id := env.ID.Of(data)
		if !c.settle(string(id), env.HasError) {
			if c.again.Load() {
				return nil // answered by a node before
			}
			return data
		}
		if !env.HasError {
			if err := c.confirm(p); err != nil {
				return asError(err).Body(id)
			}
		}
		c.told(data)
	case mcp.KindRequest:
		return c.s.ask(p, c, env, data)
	case mcp.KindNotification:
		return c.notification(p, env, data)
	}
	return data
}

func (c *call) notification(p *pin, env *mcp.Envelope, data []byte) []byte {
	switch env.Method {
	case mcp.NotificationProgress:
		if c.token != "" && string(env.ProgressToken.Of(data)) == c.token && !c.advances(env) {
			return nil
		}
	case mcp.NotificationCancelled:
		mapped, _ := c.s.asks.cancelled(p, *env, data)
		return mapped
	}
	return data
}

// translateBatch translates each member of a node's batch (2025-03-26).
func translateBatch(p *pin, data []byte, translate translator) []byte {
	var out batch
	err := mcp.ScanBatch(data, func(at mcp.Span, _ mcp.Envelope) error {
		member := at.Of(data)
		env, err := mcp.Scan(member)
		if err == nil {
			member = translate(p, &env, member)
		}
		out.add(member)
		return nil
	})
	if err != nil {
		return data
	}
	return out.bytes()
}

// ask gives a node's request to the agent, under a number of the gateway's. A call that was sent again
// repeats its questions; the agent is not asked twice.
func (s *session) ask(p *pin, c *call, env *mcp.Envelope, data []byte) []byte {
	out, q := s.asks.add(p, c, *env, data)
	if out != nil {
		return out
	}
	if answer := s.asks.again(q); answer != nil {
		s.m.work(func() { s.whisper(p.ctx, p, answer) })
	}
	return nil
}

// whisper tells a node something that nobody waits for. If it fails the node is in trouble, and the
// call that depends on it will find out.
func (s *session) whisper(ctx context.Context, p *pin, body []byte) {
	if err := s.tell(ctx, p, body); err != nil {
		s.m.log.Debug("message not taken", "session", s.hash, "node", string(p.node.ID()), "cause", err.Error())
	}
}
