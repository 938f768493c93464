package settings

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync/atomic"
)

// snapshotFormat is the newest form of snapshots that this release reads, and the one that it writes.
const snapshotFormat = 1

// MaxSnapshot bounds a snapshot, in bytes: all documents and what is around them.
const MaxSnapshot = 2*MaxTotal + 4*MaxPerKind*512

// Part is the replicated state of settings. Apply, Snapshot and Restore are for one goroutine; what they leave may
// be read by any.
type Part struct {
	now     atomic.Pointer[Set]
	changed chan struct{}
}

// NewPart returns the part without any document.
func NewPart() *Part {
	p := &Part{changed: make(chan struct{}, 1)}
	p.now.Store(&Set{byKind: map[Kind]map[string]Document{}})
	return p
}

// Set returns the documents as of the last entry applied.
func (p *Part) Set() *Set { return p.now.Load() }

// Changed carries a signal after changes, one for any number of them.
func (p *Part) Changed() <-chan struct{} { return p.changed }

// Apply applies the entry at index and returns what DecodeResult reads. ErrRefused: it is no command, and nothing
// changed, here and everywhere. ErrNewer: this release cannot read the entry.
func (p *Part) Apply(index uint64, entry []byte) ([]byte, error) {
	c, err := decode(entry)
	if err != nil {
		return nil, fmt.Errorf("settings: entry %d: %w", index, err)
	}
	next, result := p.Set().apply(index, c)
	p.publish(next)
	return json.Marshal(result)
}

func (p *Part) publish(next *Set) {
	if p.now.Swap(next) == next {
		return
	}
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

type snapshot struct {
	Format    int        `json:"format"`
	Revision  uint64     `json:"revision"`
	Documents []Document `json:"documents"`
}

// Snapshot returns the documents as bytes for Restore.
func (p *Part) Snapshot() ([]byte, error) { return p.Set().Encode() }

// Encode returns the documents as bytes for Decode.
func (s *Set) Encode() ([]byte, error) {
	b, err := marshal(snapshot{Format: snapshotFormat, Revision: s.revision, Documents: append([]Document{}, s.All()...)})
	if err != nil {
		return nil, fmt.Errorf("settings: snapshot: %w", err)
	}
	return b, nil
}

// Restore replaces all documents by a snapshot's; after an error they stay. ErrNewer: a newer release wrote it.
func (p *Part) Restore(b []byte) error {
	next, err := Decode(b)
	if err != nil {
		return err
	}
	p.publish(next)
	return nil
}

// Decode reads a set. ErrNewer: a newer release wrote it.
func Decode(b []byte) (*Set, error) {
	s, err := decodeSet(b)
	if err != nil {
		return nil, fmt.Errorf("settings: snapshot: %w", err)
	}
	return s, nil
}

func decodeSet(b []byte) (*Set, error) {
	if len(b) > MaxSnapshot {
		return nil, fmt.Errorf("%d bytes are more than %d", len(b), MaxSnapshot)
	}
	var head struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return nil, err
	}
	if head.Format > snapshotFormat {
		return nil, fmt.Errorf("%w: a snapshot of format %d, this release reads up to %d", ErrNewer, head.Format, snapshotFormat)
	}
	var s snapshot
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNewer, err)
	}
	return s.set()
}

// set checks what a snapshot says as if it came from outside: it may have been edited.
func (s *snapshot) set() (*Set, error) {
	next := &Set{revision: s.Revision, byKind: map[Kind]map[string]Document{}}
	for _, d := range s.Documents {
		c := command{Op: opPut, Kind: d.Kind, Name: d.Name, Body: d.Body}
		if !d.Kind.Known() {
			return nil, fmt.Errorf("%w: kind %.20q", ErrNewer, string(d.Kind))
		}
		if err := c.check(); err != nil {
			return nil, fmt.Errorf("%.20s/%.80s: %w", d.Kind, d.Name, err)
		}
		if _, twice := next.Get(d.Kind, d.Name); twice || d.Revision == 0 || d.Created == 0 || d.Created > d.Revision || d.Revision > s.Revision {
			return nil, fmt.Errorf("%s/%s is there twice, or its revision makes no sense", d.Kind, d.Name)
		}
		if text := next.crowded(Document{}, false, c); text != "" {
			return nil, fmt.Errorf("%w: %s", ErrFull, text)
		}
		if next.byKind[d.Kind] == nil {
			next.byKind[d.Kind] = map[string]Document{}
		}
		next.byKind[d.Kind][d.Name] = d
		next.bytes += len(d.Body)
	}
	return next, nil
}
