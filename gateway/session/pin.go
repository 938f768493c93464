package session

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"

	"github.com/quorate/quorate/gateway/upstream"
)

var errNodeDown = errors.New("session: node is down")

// pin is one stay of a session on one node: from an initialize to the next.
type pin struct {
	node Node
	id   string // the node's own session id: a secret, never shown to the agent
	down <-chan struct{}

	ctx    context.Context // ends with the node or the session
	cancel context.CancelCauseFunc
	lost   atomic.Bool // the session has to move: no new request goes here
}

// newPin begins a stay. A node that is dead already may be tried all the same, when there is no other:
// its signal then means nothing for this stay.
func (s *session) newPin(n Node, id string) *pin {
	p := &pin{node: n, id: id, down: n.Down()}
	p.ctx, p.cancel = context.WithCancelCause(s.ctx)
	if closed(p.down) {
		p.down = nil
		return p
	}
	s.m.watch.add(p)
	return p
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// die ends whatever is under way on the node.
func (p *pin) die() {
	p.lost.Store(true)
	p.cancel(errNodeDown)
}

// dead reports whether the node died during the stay.
func (p *pin) dead() bool {
	return closed(p.down) || errors.Is(context.Cause(p.ctx), errNodeDown)
}

// do sends one request under the node's own session id.
func (p *pin) do(ctx context.Context, method string, header http.Header, body []byte, more ...upstream.Field) (*http.Response, error) {
	more = append(more, upstream.Field{Name: keySession, Value: p.id})
	return p.node.Do(ctx, &upstream.Request{Method: method, Header: header, Set: more, Body: body})
}
