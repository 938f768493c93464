package session

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/gateway/upstream"
	"github.com/quorate/quorate/regions"
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

	adopting atomic.Bool // the node, another gateway, has not said yet that it goes on with the session
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

// nowhere is where a session is that was adopted and has no node yet.
type nowhere struct{}

// ID implements Node.
func (nowhere) ID() regions.NodeID { return "" }

// Do implements Node.
func (nowhere) Do(context.Context, *upstream.Request) (*http.Response, error) {
	return nil, &upstream.Error{Progress: upstream.NotSent, Failure: upstream.Dead, Err: errNodeDown}
}

// Down implements Node.
func (nowhere) Down() <-chan struct{} { return nil }

// newPinNowhere makes the stay before a session's first node: over already, so that the session moves.
func (s *session) newPinNowhere() *pin {
	p := &pin{node: nowhere{}}
	p.ctx, p.cancel = context.WithCancelCause(s.ctx)
	p.cancel(errNodeDown)
	p.lost.Store(true)
	return p
}

// placed reports whether the stay is on a node.
func (p *pin) placed() bool { return p.node != Node(nowhere{}) }

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

// do sends one request that is no write.
func (p *pin) do(ctx context.Context, method string, header http.Header, body []byte, more ...upstream.Field) (*http.Response, error) {
	return p.ask(ctx, &upstream.Request{Method: method, Header: header, Set: more, Body: body})
}

// ask sends one request under the node's own session id.
func (p *pin) ask(ctx context.Context, r *upstream.Request) (*http.Response, error) {
	r.Set = append(r.Set, upstream.Field{Name: keySession, Value: p.id})
	if p.adopting.Load() {
		r.Set = append(r.Set, upstream.Field{Name: mcp.HeaderAdopting, Value: "1"})
	}
	return p.node.Do(ctx, r)
}
