package peer

import (
	"slices"
	"sync"
	"time"
)

// directory finds links that are up by the gateway at their other end. There may be several with one: this
// gateway has dialed some of them, the other one the rest. Its zero value is empty.
type directory struct {
	mu    sync.Mutex
	links map[string][]*session
}

func (d *directory) enter(s *session) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.links == nil {
		d.links = make(map[string][]*session)
	}
	name := s.trust.identity.Gateway
	d.links[name] = append(d.links[name], s)
}

func (d *directory) leave(s *session) {
	d.mu.Lock()
	defer d.mu.Unlock()
	name := s.trust.identity.Gateway
	d.links[name] = slices.DeleteFunc(d.links[name], func(other *session) bool { return other == s })
	if len(d.links[name]) == 0 {
		delete(d.links, name)
	}
}

func (d *directory) all() (all []*session) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, links := range d.links {
		all = append(all, links...)
	}
	return all
}

// best returns the link with a gateway whose last pong is the freshest, of those that this gateway has dialed
// if dialed is set; nil when none is up. Probes are no links.
func (d *directory) best(gateway string, dialed bool) (best *session) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var freshest time.Time
	for _, s := range d.links[gateway] {
		if s.theirs.Probe || dialed && s.out == nil {
			continue
		}
		if at, up := s.fresh(); up && (best == nil || at.After(freshest)) {
			best, freshest = s, at
		}
	}
	return best
}

// fresh returns when the last pong came, and false once the link is ending.
func (s *session) fresh() (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.began.Add(s.health.answered), s.err == nil
}

// Find returns the link with the gateway of that name whose last pong is the freshest; when none is up, that of
// a remote which was that gateway last. It returns false when there is neither.
func (p *Peers) Find(gateway string) (Link, bool) {
	if s := p.directory.best(gateway, false); s != nil {
		return s.link(), true
	}
	if r := p.leading(gateway); r != nil {
		return r.link(), true
	}
	return Link{}, false
}

// leading returns a remote that is the gateway of that name, or was when its link was last up; nil without one.
func (p *Peers) leading(gateway string) *remote {
	if s := p.directory.best(gateway, true); s != nil {
		return s.out
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.remotes {
		if r.was(gateway) {
			return r
		}
	}
	return nil
}

func (r *remote) was(gateway string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return gateway != "" && r.last.Gateway == gateway
}
