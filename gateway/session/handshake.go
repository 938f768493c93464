package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"golang.org/x/sync/errgroup"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/upstream"
)

var errMovedOn = errors.New("session: not taken up")

// parallel bounds the subscriptions that are made again at one time.
const parallel = 8

// handshake opens the session again on n: initialize as the agent sent it, and what it has set since.
func (s *session) handshake(n Node) (*pin, error) {
	if forwards(n) {
		if body, ok := s.adoption(); ok {
			return s.handOver(n, body)
		}
	}
	p := s.newPin(n, "")
	if err := s.shake(p); err != nil {
		s.withdraw(p)
		return nil, fmt.Errorf("session: move to %s: %w", n.ID(), err)
	}
	return p, nil
}

// withdraw ends a stay that the session does not take up.
func (s *session) withdraw(p *pin) {
	s.m.watch.remove(p)
	s.m.work(func() {
		s.abandon(s.m.ctx, p)
		p.cancel(errMovedOn)
	})
}

func (s *session) shake(p *pin) error {
	ctx, cancel := context.WithTimeout(p.ctx, handshakeBound)
	defer cancel()
	if err := s.reinitialize(ctx, p); err != nil {
		return err
	}
	initialized, level, watched := s.memory.replay()
	if !initialized {
		return nil // the agent's own notification is still to come
	}
	if err := s.tell(ctx, p, []byte(`{"jsonrpc":"2.0","method":"`+mcp.NotificationInitialized+`"}`)); err != nil {
		return err
	}
	if level != nil {
		if err := s.repeat(ctx, p, level); err != nil {
			return err
		}
	}
	var group errgroup.Group
	group.SetLimit(parallel)
	for _, w := range watched {
		group.Go(func() error { return s.repeat(ctx, p, w.body) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	s.listenAhead(ctx, p)
	return nil
}

// reinitialize makes the node's own session and checks that it is as the agent knows it.
func (s *session) reinitialize(ctx context.Context, p *pin) error {
	resp, err := p.node.Do(ctx, &upstream.Request{Method: http.MethodPost, Header: posting(s.credentials(), ""), Body: s.opening.request})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusForbidden:
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxPeek))
		if err != nil {
			return err
		}
		return &refusal{status: resp.StatusCode, header: resp.Header, body: body}
	case resp.StatusCode >= 500, resp.StatusCode == http.StatusTooManyRequests:
		return fmt.Errorf("initialize: status %d", resp.StatusCode)
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("%w: status %d", errDiffers, resp.StatusCode)
	}
	p.id = resp.Header.Get(keySession)
	m, err := readMessage(resp, s.opening.id)
	if err != nil {
		return err
	}
	got, err := readPromise(m.data)
	if err != nil || p.id == "" || !s.opening.result.same(got) {
		return errDiffers
	}
	return nil
}

// repeat sends one of the agent's requests again. A node that refuses it is told nothing else: the
// agent hears of every watched resource after a move, and finds out when it looks.
func (s *session) repeat(ctx context.Context, p *pin, body []byte) error {
	body, err := s.replayed(body)
	if err != nil {
		return err
	}
	return s.tell(ctx, p, body)
}

// tell sends a message of the gateway's own and waits until the node has taken it.
func (s *session) tell(ctx context.Context, p *pin, body []byte) error {
	resp, err := p.do(ctx, http.MethodPost, posting(s.credentials(), s.version), body)
	if err != nil {
		return err
	}
	discard(resp)
	if resp.StatusCode >= 300 {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}
