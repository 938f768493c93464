package session

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/regions"
)

const (
	// maxCandidates bounds the nodes that one move tries.
	maxCandidates = 16
	// patience is how long a move goes on looking when no node takes the session.
	patience = 500 * time.Millisecond
	// handshakeBound is how long one of them may take.
	handshakeBound = 10 * time.Second
)

// errDiffers: the node would serve the session, but not as the agent knows it.
var errDiffers = errors.New("session: move: the node negotiates something else")

// refusal is a node's no to the agent's credentials; the agent must see it to renew them.
type refusal struct {
	status int
	header http.Header
	body   []byte
}

// Error implements error.
func (r *refusal) Error() string { return "session: the node refuses: " + http.StatusText(r.status) }

// search looks for a node that takes the session. While none does it goes on asking for a little: nodes
// that are restarted come back, and agents do not ask twice by themselves.
func (s *session) search() (*pin, error) {
	select {
	case s.m.moves <- struct{}{}:
		defer func() { <-s.m.moves }()
	case <-s.ctx.Done():
		return nil, s.over()
	}
	if !s.owned() {
		return nil, ErrTaken
	}
	if s.credentials() == nil {
		return nil, mcp.NothingFits("no_credentials", 0)
	}
	old := s.where()
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	for pause := firstPause; ; pause *= 2 {
		r := round{s: s, last: old.node.ID(), tried: make(map[regions.NodeID]bool)}
		if closed(old.node.Down()) {
			r.tried[r.last] = true
		}
		p, err := r.try(s.m.cfg.Current())
		if err == nil || errors.Is(err, errLost) || r.refused != nil || s.over() != nil {
			return p, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(pause):
		}
	}
}

// round asks every node of the pool once, the lost one last: it may have been restarted.
type round struct {
	s       *session
	last    regions.NodeID
	tried   map[regions.NodeID]bool
	asked   bool // the lost one
	refused error
	differs bool
}

func (r *round) try(pool Pool) (*pin, error) {
	for range maxCandidates {
		n, ok := r.pick(pool)
		if !ok {
			break
		}
		p, err := r.s.handshake(n)
		if err == nil {
			return p, nil
		}
		r.s.m.log.Debug("session not taken", "session", r.s.hash, "node", string(n.ID()), "cause", err.Error())
		var no *refusal
		if errors.As(err, &no) {
			r.refused = err
		}
		r.differs = r.differs || errors.Is(err, errDiffers)
	}
	switch {
	case r.s.over() != nil:
		return nil, r.s.over()
	case r.refused != nil:
		return nil, r.refused
	case r.differs:
		return nil, errLost
	}
	return nil, mcp.NothingFits("no_node", time.Second)
}

func (r *round) pick(pool Pool) (Node, bool) {
	n, ok := pool.Pick(func(id regions.NodeID) bool { return r.tried[id] })
	if !ok && !r.asked {
		n, ok = pool.Lookup(r.last)
	}
	if ok {
		r.tried[n.ID()] = true
		r.asked = r.asked || n.ID() == r.last
	}
	return n, ok
}
