package session

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
	"github.com/quorate/quorate/regions"
)

const (
	// maxMoves bounds the sessions that move at one time, so that a node's death does not become a
	// wave of handshakes on the others.
	maxMoves = 256
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

// move is one search for a node, shared by everybody who waits for it.
type move struct {
	done chan struct{}
	pin  *pin
	err  error
}

// settled returns where the session is, moving it first if its node is lost. pool is the table of the
// request that asks; a node that has left it is lost too.
func (s *session) settled(pool Pool) (*pin, error) {
	if err := s.over(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	p := s.pin
	if !p.lost.Load() && (p.dead() || !listed(pool, p)) {
		p.lost.Store(true)
	}
	if !p.lost.Load() {
		s.mu.Unlock()
		return p, nil
	}
	mv := s.start()
	s.mu.Unlock()
	<-mv.done // ends with the session at the latest
	return mv.pin, mv.err
}

func listed(pool Pool, p *pin) bool {
	_, ok := pool.Lookup(p.node.ID())
	return ok
}

// lose marks the session's stay on p as over and starts the move at once, whoever waits for it.
func (s *session) lose(p *pin, why string) {
	if p.lost.Swap(true) {
		return
	}
	s.m.log.Info("session leaves its node", "session", s.hash, "node", string(p.node.ID()), "why", why)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pin == p {
		s.start()
	}
}

// start begins a move or joins the one under way; s.mu is held.
func (s *session) start() *move {
	if s.moving == nil {
		mv := &move{done: make(chan struct{})}
		s.moving = mv
		if !s.m.work(func() { s.run(mv) }) {
			s.moving = nil
			mv.err = errShutdown
			close(mv.done)
		}
		return mv
	}
	return s.moving
}

func (s *session) run(mv *move) {
	began := time.Now()
	to, err := s.search()
	if err != nil {
		s.failed(err) // before anybody can start another search
	}
	s.mu.Lock()
	from := s.pin
	if err == nil && s.ctx.Err() != nil {
		s.m.watch.remove(to)
		err = s.over()
	}
	if err == nil {
		s.pin = to
		close(s.moved)
		s.moved = make(chan struct{})
		s.arrived(from, to, time.Since(began))
	}
	mv.pin, mv.err = to, err
	s.moving = nil
	s.mu.Unlock()
	close(mv.done)
	if err != nil {
		s.swapAhead(nil).close(s.m)
	}
}

func (s *session) arrived(from, to *pin, took time.Duration) {
	s.m.watch.remove(from)
	s.m.hooks.Migrated()
	s.m.log.Info("session moved", "session", s.hash, "from", string(from.node.ID()),
		"to", string(to.node.ID()), "took_ms", took.Milliseconds())
}

// failed ends the session if no node can ever continue it. In every other case it waits for the next
// request, and with it for a node or better credentials.
func (s *session) failed(err error) {
	s.m.log.Warn("session could not move", "session", s.hash, "cause", err.Error())
	if errors.Is(err, errLost) {
		s.m.hooks.Lost()
		s.end(errLost)
	}
}

// search looks for a node that takes the session. While none does it goes on asking for a little: nodes
// that are restarted come back, and agents do not ask twice by themselves.
func (s *session) search() (*pin, error) {
	select {
	case s.m.moves <- struct{}{}:
		defer func() { <-s.m.moves }()
	case <-s.ctx.Done():
		return nil, s.over()
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

// discard reads a small answer to its end, so that its connection can serve again.
func discard(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, maxPeek)
	_ = resp.Body.Close()
}
