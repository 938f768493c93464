package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/internal/authority"
)

// image is a snapshot's content. The same state gives the same bytes.
type image struct {
	Format    int               `json:"format"`
	Index     uint64            `json:"index"` // of the last entry applied
	Epoch     uint64            `json:"epoch"`
	Authority json.RawMessage   `json:"authority"`
	Parts     map[string][]byte `json:"parts"`
	// Bulks are the digests of those parts that follow the image. Only images of format 2 have any.
	Bulks map[string][]byte `json:"bulks,omitempty"`
}

// imageFormat is the newest form of a snapshot that this release reads. It writes the oldest that says all.
const imageFormat = 2

// image is called with f.mu held. The bulks that it names are those given.
func (f *fsm) image(bulks map[string]io.WriterTo) ([]byte, error) {
	i := image{Format: 1, Index: f.index, Epoch: f.epoch, Parts: map[string][]byte{}}
	var err error
	if i.Authority, err = f.machine.Snapshot(); err != nil {
		return nil, err
	}
	for name := range bulks {
		if i.Bulks == nil {
			i.Format, i.Bulks = 2, map[string][]byte{}
		}
		i.Bulks[name] = f.parts[name].(Bulk).Digest()
	}
	for name, p := range f.parts {
		if _, ok := p.(Bulk); ok {
			continue
		}
		b, err := p.Snapshot()
		if err != nil {
			return nil, fmt.Errorf("control: part %s: %w", name, err)
		}
		if len(b) > 0 { // a release that does not know the part reads an image without it
			i.Parts[name] = b
		}
	}
	return json.Marshal(i)
}

// Snapshot implements raft.FSM.
func (f *fsm) Snapshot() (raft.FSMSnapshot, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stuck != nil {
		return nil, f.stuck
	}
	bulks := f.freeze()
	f.grown = growth{}
	b, err := f.image(bulks)
	if err != nil || len(bulks) == 0 {
		return snapshot(b), err
	}
	return &stream{b, bulks}, nil
}

type snapshot []byte

// Persist implements raft.FSMSnapshot.
func (s snapshot) Persist(sink raft.SnapshotSink) error {
	if _, err := sink.Write(s); err != nil {
		return errors.Join(err, sink.Cancel())
	}
	return sink.Close()
}

// Release implements raft.FSMSnapshot.
func (s snapshot) Release() {}

// Restore implements raft.FSM.
func (f *fsm) Restore(r io.ReadCloser) error {
	defer r.Close()
	b, err := f.thaw(io.LimitReader(r, authority.MaxSnapshot+1))
	f.mu.Lock()
	defer f.mu.Unlock()
	defer f.wake()
	if err != nil {
		err = fmt.Errorf("control: snapshot: %w", err)
	} else {
		err = f.restore(b)
	}
	if f.stuck = err; err != nil { // half of it may be there
		return f.stuck
	}
	return nil
}

// restore is called with f.mu held.
func (f *fsm) restore(b []byte) error {
	i, err := f.readImage(b)
	if err != nil {
		return err
	}
	before := f.machine.View().Lives
	if err := f.machine.Restore(i.Authority); err != nil {
		return fmt.Errorf("control: snapshot: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(f.parts)) {
		if _, thawed := i.Bulks[name]; thawed {
			continue
		}
		b, ok := i.Parts[name]
		if !ok {
			b = f.pristine[name]
		}
		if err := f.parts[name].Restore(b); err != nil {
			return fmt.Errorf("control: snapshot: part %s: %w", name, err)
		}
	}
	f.ended(i.Index, before)
	f.epoch, f.index, f.gateways = i.Epoch, i.Index, nil
	return nil
}

func (f *fsm) readImage(b []byte) (image, error) {
	var i image
	if err := json.Unmarshal(b, &i); err != nil {
		return i, fmt.Errorf("control: snapshot: %w", err)
	}
	if i.Format > imageFormat {
		return i, fmt.Errorf("control: snapshot of format %d, this release reads up to %d: %w", i.Format, imageFormat, authority.ErrNewer)
	}
	for _, names := range []map[string][]byte{i.Parts, i.Bulks} {
		for name := range names {
			if f.parts[name] == nil {
				return i, fmt.Errorf("control: snapshot: part %.40q: %w", name, authority.ErrNewer)
			}
		}
	}
	return i, nil
}
