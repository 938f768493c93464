package session

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/upstream"
)

// maxAdoption bounds what is told of a session in one message; one with more is opened step by step.
const maxAdoption = 1 << 20

// adoption is what the gateway of another region has to know to go on with a session: what an initialize, and
// each message after it, would tell in a round trip of its own.
type adoption struct {
	Initialize    json.RawMessage   `json:"initialize"` // the agent's request
	Result        json.RawMessage   `json:"result"`     // what the agent was promised
	Initialized   bool              `json:"initialized"`
	Listens       bool              `json:"listens"` // the agent reads the standalone stream
	Level         json.RawMessage   `json:"level,omitempty"`
	Subscriptions []json.RawMessage `json:"subscriptions,omitempty"`
}

// describe writes down the session as it is.
func (s *session) describe() adoption {
	a := adoption{Initialize: s.opening.request, Result: s.opening.result.raw, Listens: s.listens.Load()}
	var watched []subscription
	a.Initialized, a.Level, watched = s.memory.replay()
	for _, w := range watched {
		a.Subscriptions = append(a.Subscriptions, w.body)
	}
	return a
}

// adoption describes the session in one message; false if that is too much for one.
func (s *session) adoption() ([]byte, bool) {
	body, err := json.Marshal(s.describe())
	return body, err == nil && len(body) <= maxAdoption
}

// handOver lets the gateway n go on with the session under an id of this gateway's choice. Calls and the
// standalone stream are sent along before n has answered.
func (s *session) handOver(n Node, body []byte) (*pin, error) {
	p := s.newPin(n, mint())
	p.adopting.Store(true)
	ctx, cancel := context.WithTimeout(p.ctx, handshakeBound)
	defer cancel()
	answer := make(chan error, 1)
	if !s.m.work(func() { answer <- s.askAdoption(ctx, p, body) }) {
		s.drop(p)
		return nil, errShutdown
	}
	s.offer(p)
	s.askAhead(p)
	if err := <-answer; err != nil {
		p.lost.Store(true)
		s.retract(p)
		return nil, fmt.Errorf("session: hand over to %s: %w", n.ID(), err)
	}
	p.adopting.Store(false)
	return p, nil
}

func (s *session) askAdoption(ctx context.Context, p *pin, body []byte) error {
	resp, err := p.node.Do(ctx, &upstream.Request{Method: http.MethodPost, Header: posting(s.credentials(), ""), Body: body,
		Set: []upstream.Field{{Name: mcp.HeaderAdopt, Value: p.id}}})
	if err != nil {
		return err
	}
	defer discard(resp)
	switch resp.StatusCode {
	case http.StatusNoContent:
		return nil
	case http.StatusConflict:
		return errDiffers
	case http.StatusUnauthorized, http.StatusForbidden:
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxPeek))
		if err != nil {
			return err
		}
		return &refusal{status: resp.StatusCode, header: resp.Header, body: body}
	}
	return fmt.Errorf("status %d", resp.StatusCode)
}

// retract ends a stay that calls may have been sent to. Those are told over there that nothing was done,
// which must not be cut off: it would look as if something might have been.
func (s *session) retract(p *pin) {
	begun := s.m.work(func() {
		defer s.drop(p)
		if !p.dead() {
			s.farewell(s.m.ctx, p)
		}
		timer := time.NewTimer(handshakeBound)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-p.ctx.Done():
		case <-s.m.ctx.Done():
		}
	})
	if !begun {
		s.drop(p)
	}
}

// drop forgets a stay and ends what is under way in it.
func (s *session) drop(p *pin) {
	s.m.watch.remove(p)
	p.cancel(errMovedOn)
}
