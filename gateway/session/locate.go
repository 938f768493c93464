package session

import (
	"context"
	"net/http"
	"time"

	"github.com/quorate/quorate/gateway/mcp"
)

const (
	// locateBound is how long a session is looked for: longer than it takes to fence its gateway.
	locateBound = 5 * time.Second
	// maxLocating bounds the sessions that are looked for at one time.
	maxLocating = 16_384
)

// locating is one look for a session, shared by everybody who waits for it.
type locating struct {
	done  chan struct{}
	found Found
}

// Locate looks for a session that is not owned here as far as is known. Here means that it has been put back and
// can be served, with agent as the header of its agent's latest request.
func (m *Manager) Locate(ctx context.Context, id string, agent http.Header) Found {
	if m.cfg.Keeper == nil {
		return Found{Where: Unknown}
	}
	l := &locating{done: make(chan struct{})}
	if v, under := m.looks.LoadOrStore(id, l); under {
		l = v.(*locating)
	} else {
		m.look(l, id, agent)
	}
	select {
	case <-l.done:
		return l.found
	case <-ctx.Done():
		return Found{Where: Nowhere, Why: mcp.NothingFits("session_sought", time.Second)}
	}
}

// look begins the look l.
func (m *Manager) look(l *locating, id string, agent http.Header) {
	end := func(f Found) {
		l.found = f
		m.looks.Delete(id)
		m.looking.Add(-1)
		close(l.done)
	}
	switch over := m.looking.Add(1) > maxLocating; {
	case over:
		end(Found{Where: Nowhere, Why: mcp.Overloaded("sessions_sought", time.Second)})
	case m.ending() || !m.work(func() { end(m.find(id, agent)) }): // one that ends must not take sessions over
		end(Found{Where: Nowhere, Why: mcp.NothingFits("shutdown", time.Second)})
	}
}

// find asks the keeper, and puts back what it found.
func (m *Manager) find(id string, agent http.Header) Found {
	if m.Owns(id) {
		return Found{Where: Here}
	}
	ctx, cancel := context.WithTimeout(m.ctx, locateBound)
	defer cancel()
	f, err := m.cfg.Keeper.Find(ctx, m.cfg.Service, id)
	if err != nil {
		m.log.Warn("session not found", "session", Hash(id), "cause", err.Error())
		return Found{Where: Nowhere, Why: mcp.NothingFits("session_sought", time.Second)}
	}
	switch f.Where {
	case Unknown:
		m.Yield(id) // deleted meanwhile, by another gateway
	case Here:
		if err := m.Restore(id, f.Life, f.Contents, agent); err != nil {
			m.log.Warn("session not restored", "session", Hash(id), "cause", err.Error())
			return Found{Where: Nowhere, Why: refusalOf(err)}
		}
	case There:
		m.yieldStale(id)
	case Nowhere:
		if f.Why == nil {
			f.Why = mcp.NothingFits("session_sought", time.Second)
		}
	}
	f.Contents = nil
	return f
}
