package ledger

import "bytes"

// standing is how a key stands now.
type standing struct {
	digest  [32]byte
	attempt attempt
	open    bool
	outcome Outcome
}

// look returns how a key stands, if it is known.
func (p *Part) look(s Scope) (standing, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	e := p.entries[s]
	if e == nil {
		return standing{}, false
	}
	return standing{e.digest, e.attempt, e.open, e.outcome}, true
}

// watch returns how a key stands and what is closed when that changes, if it is known.
func (p *Part) watch(s Scope) (standing, bool, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.entries[s]
	if e == nil {
		return standing{}, false, nil
	}
	c := p.waiting[s]
	if c == nil {
		c = make(chan struct{})
		p.waiting[s] = c // until the entry changes, which it does when it expires at the latest
	}
	return standing{e.digest, e.attempt, e.open, e.outcome}, true, c
}

// fleetKey returns the fleet's key, nil while there is none.
func (p *Part) fleetKey() []byte {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return bytes.Clone(p.key)
}

// last is the number of the last batch that was taken of a gateway.
func (p *Part) last(gateway string) uint64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.heard[gateway].batch
}

// expired reports whether anything was to be remembered until before now, in Unix seconds.
func (p *Part) expired(now int64) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	for _, e := range p.entries {
		if e.until < now {
			return true
		}
	}
	return false
}

// Figures are what the ledger holds.
type Figures struct {
	Entries int
	Open    int // calls under way, or whose gateway has not said what became of them
	Unknown int // calls of which nobody will say
	Bytes   int // of results
}

// Figures counts what the ledger holds.
func (p *Part) Figures() Figures {
	p.mu.RLock()
	defer p.mu.RUnlock()
	f := Figures{Entries: len(p.entries), Bytes: p.bytes}
	for _, e := range p.entries {
		switch {
		case e.open:
			f.Open++
		case e.outcome.Kind == Unknown:
			f.Unknown++
		}
	}
	return f
}
