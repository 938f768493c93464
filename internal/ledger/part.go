package ledger

import (
	"encoding/json"
	"fmt"
	"sync"

	"github.com/quorate/quorate/internal/authority"
)

// bounds are those of a part, which tests make smaller.
type bounds struct{ entries, bytes int }

// entry is what is remembered of one key.
type entry struct {
	scope   Scope
	digest  [32]byte
	attempt attempt
	index   uint64 // of the command that began it
	at      int    // within that command
	until   int64  // Unix seconds
	open    bool   // nothing is said of its outcome yet
	outcome Outcome
}

// heard is the last batch of a gateway that was taken.
type heard struct {
	life  authority.Index
	batch uint64
	at    int64
}

// Part is the replicated state of the ledger. Apply, Snapshot and Restore are for one goroutine; any may read what
// they leave.
type Part struct {
	bounds bounds

	mu      sync.RWMutex
	key     []byte // the fleet's; nil: nobody has made one
	entries map[Scope]*entry
	bytes   int // of all results
	heard   map[string]heard
	waiting map[Scope]chan struct{} // closed when the entry changes
}

// NewPart returns the part without any key.
func NewPart() *Part {
	return &Part{bounds: bounds{MaxEntries, MaxBytes}, entries: map[Scope]*entry{}, heard: map[string]heard{}, waiting: map[Scope]chan struct{}{}}
}

// Apply applies the command at index. ErrRefused: it is no command, and nothing changed, here and everywhere.
// ErrNewer: this release cannot read it.
func (p *Part) Apply(index uint64, b []byte) ([]byte, error) {
	c, err := decode(b)
	if err != nil {
		return nil, fmt.Errorf("ledger: entry %d: %w", index, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.hear(&c) {
		return json.Marshal(answer{Stale: true})
	}
	a := answer{Verdicts: make([]verdict, len(c.Items))}
	for i := range c.Items {
		a.Verdicts[i] = p.item(index, i, &c)
	}
	return json.Marshal(a)
}

// hear notes a batch, and reports false for one that comes too late.
func (p *Part) hear(c *command) bool {
	last, known := p.heard[c.From.Gateway]
	if known && (c.From.Incarnation < last.life || c.From.Incarnation == last.life && c.Batch <= last.batch) {
		return false
	}
	if !known && len(p.heard) >= maxGateways {
		p.dropHeard()
	}
	p.heard[c.From.Gateway] = heard{c.From.Incarnation, c.Batch, c.At}
	return true
}

// dropHeard makes room: the gateway that was silent for longest has nothing on its way any more.
func (p *Part) dropHeard() {
	oldest := ""
	for name, h := range p.heard {
		if o := p.heard[oldest]; oldest == "" || h.at < o.at || h.at == o.at && name < oldest {
			oldest = name
		}
	}
	delete(p.heard, oldest)
}

func (p *Part) item(index uint64, at int, c *command) verdict {
	i := &c.Items[at]
	switch i.Op {
	case opKey:
		if p.key == nil {
			p.key, _ = i.key()
		}
		return done
	case opExpire:
		p.expire(c.At)
		return done
	case opIntent:
		return p.intend(index, at, i)
	}
	e := p.entries[Scope(i.Scope)]
	if e == nil || e.attempt != i.Attempt {
		return gone
	}
	return p.settle(e, i)
}

// intend begins an entry. The same attempt may say so again.
func (p *Part) intend(index uint64, at int, i *item) verdict {
	s := Scope(i.Scope)
	if e := p.entries[s]; e != nil {
		if e.attempt == i.Attempt {
			return done
		}
		return existing
	}
	if len(p.entries) >= p.bounds.entries {
		return full
	}
	p.entries[s] = &entry{scope: s, digest: [32]byte(i.Digest), attempt: i.Attempt, index: index, at: at, until: i.Until, open: true}
	p.changed(s)
	return done
}

// settle says what became of an attempt. What is not known may become known; what is known never changes.
func (p *Part) settle(e *entry, i *item) verdict {
	if !e.open && e.outcome.Kind != Unknown {
		return gone
	}
	switch i.Op {
	case opWithdraw:
		p.forget(e)
		return done
	case opUnknown:
		e.open = false
	case opOutcome:
		e.open, e.outcome = false, p.kept(i.outcome())
		p.bytes += len(e.outcome.Value)
	}
	p.changed(e.scope)
	return done
}

// kept leaves out a result that has no room: what has run must be known even then.
func (p *Part) kept(o Outcome) Outcome {
	if p.bytes+len(o.Value) > p.bounds.bytes {
		return Outcome{Kind: Unkept}
	}
	return o
}

func (p *Part) forget(e *entry) {
	delete(p.entries, e.scope)
	p.bytes -= len(e.outcome.Value)
	p.changed(e.scope)
}

func (p *Part) expire(now int64) {
	for _, e := range p.entries {
		if e.until < now {
			p.forget(e)
		}
	}
	for name, h := range p.heard { // nothing is on its way for so long
		if h.at < now-int64(MaxRetention.Seconds()) {
			delete(p.heard, name)
		}
	}
}

// changed wakes those who wait for the entry.
func (p *Part) changed(s Scope) {
	if c := p.waiting[s]; c != nil {
		close(c)
		delete(p.waiting, s)
	}
}
