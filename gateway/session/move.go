package session

import (
	"errors"
	"time"
)

// maxMoves bounds the sessions that move at one time, so that a node's death does not become a wave of
// handshakes on the others.
const maxMoves = 256

// move is one search for a node, shared by everybody who waits for it.
type move struct {
	done chan struct{}
	pin  *pin
	err  error

	early *pin          // a gateway that has been asked to go on with the session; guarded by the session, as is
	news  chan struct{} // closed when there is another one
}

// await waits for where the session will be. Calls need not wait for the answer of a gateway that was asked to
// go on with the session: they wait over there for the same, and are answered one round trip earlier.
func (s *session) await(mv *move) (*pin, error) {
	for {
		s.mu.Lock()
		early, news := mv.early, mv.news
		s.mu.Unlock()
		if early != nil && !early.lost.Load() {
			return early, nil
		}
		select {
		case <-mv.done: // ends with the session at the latest
			return mv.pin, mv.err
		case <-news:
		}
	}
}

// offer lets calls go to where the session is about to be.
func (s *session) offer(p *pin) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if mv := s.moving; mv != nil {
		mv.early = p
		close(mv.news)
		mv.news = make(chan struct{})
	}
}

// settled returns where the session is, moving it first if its node is lost. pool is the table of the
// request that asks; a node that has left it is lost too.
func (s *session) settled(pool Pool) (*pin, error) {
	if err := s.over(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	p := s.pin
	if !p.lost.Load() && (p.dead() || !pool.Stays(p.node.ID(), s.key)) {
		p.lost.Store(true)
	}
	if !p.lost.Load() {
		s.mu.Unlock()
		return p, nil
	}
	if s.leaving.Load() {
		s.mu.Unlock()
		return nil, errDeleted
	}
	mv := s.start()
	s.mu.Unlock()
	return s.await(mv)
}

// lose marks the session's stay on p as over and starts the move at once, whoever waits for it.
func (s *session) lose(p *pin, why string) {
	if p.lost.Swap(true) || s.leaving.Load() {
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
		mv := &move{done: make(chan struct{}), news: make(chan struct{})}
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
		s.withdraw(to)
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
	s.keepAside()
	if !from.placed() && s.m.cfg.Adopts {
		s.m.log.Info("session opened", "session", s.hash, "node", string(to.node.ID()), "from", "another region's gateway")
		return
	}
	s.m.hooks.Migrated()
	s.m.log.Info("session moved", "session", s.hash, "from", string(from.node.ID()),
		"to", string(to.node.ID()), "took_ms", took.Milliseconds())
}

// failed ends the session if no node can ever continue it. In every other case it waits for the next
// request, and with it for a node or better credentials.
func (s *session) failed(err error) {
	s.m.log.Warn("session could not move", "session", s.hash, "cause", err.Error())
	if errors.Is(err, errLost) {
		if s.where().placed() || !s.m.cfg.Adopts { // else the gateway that asked goes on looking
			s.m.hooks.Lost()
		}
		s.end(errLost)
	}
}
