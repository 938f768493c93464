package session

import "sync"

// watch ends everything under way on a node at the moment it dies, with one goroutine for each node
// that holds sessions, not one for each session.
type watch struct {
	wg *sync.WaitGroup

	mu     sync.Mutex
	byDown map[<-chan struct{}]*pins
}

type pins struct {
	set  map[*pin]struct{}
	idle chan struct{} // closed when the set became empty
}

func newWatch(wg *sync.WaitGroup) *watch {
	return &watch{wg: wg, byDown: make(map[<-chan struct{}]*pins)}
}

func (w *watch) add(p *pin) {
	w.mu.Lock()
	defer w.mu.Unlock()
	ps, ok := w.byDown[p.down]
	if !ok {
		ps = &pins{set: make(map[*pin]struct{}), idle: make(chan struct{})}
		w.byDown[p.down] = ps
		w.wg.Go(func() { w.wait(p.down, ps) })
	}
	ps.set[p] = struct{}{}
}

func (w *watch) remove(p *pin) {
	w.mu.Lock()
	defer w.mu.Unlock()
	ps, ok := w.byDown[p.down]
	if !ok {
		return
	}
	delete(ps.set, p)
	if len(ps.set) == 0 {
		delete(w.byDown, p.down)
		close(ps.idle)
	}
}

func (w *watch) wait(down <-chan struct{}, ps *pins) {
	select {
	case <-ps.idle:
		return
	case <-down:
	}
	w.mu.Lock()
	if w.byDown[down] == ps {
		delete(w.byDown, down)
	}
	w.mu.Unlock() // nobody else sees ps any more
	for p := range ps.set {
		p.die()
	}
}
