package control

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/quorate/quorate/internal/authority"
)

// saved is what an operator keeps of the replicated state: the parts. Roster, rule and claims belong to the fleet
// that they are of, and are not carried into another.
type saved struct {
	Format  int               `json:"format"`
	Cluster string            `json:"cluster"`
	Index   uint64            `json:"index"`
	Parts   map[string][]byte `json:"parts"`
}

// savedFormat is the newest form that this release reads, and the one it writes.
const savedFormat = 1

// maxSaved bounds what is restored, in bytes, unpacked.
const maxSaved = 64 << 20

// ErrBadSnapshot says that what was given is no snapshot, is damaged, or was written by a newer release.
var ErrBadSnapshot = errors.New("not a snapshot that this release reads")

// Save returns the state of the parts as it is after everything that is committed now or, without a quorum, as it is
// here.
func (n *Node) Save(ctx context.Context) ([]byte, error) {
	upTo, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if _, _, err := n.submit(upTo, markEntry("save")); err != nil {
		n.log.Warn("control group: the snapshot holds what is applied here; more may be committed", "cause", err.Error())
	}
	s, err := n.fsm.save()
	if err != nil {
		return nil, fmt.Errorf("control: save: %w", err)
	}
	b, err := pack(s)
	if err != nil {
		return nil, fmt.Errorf("control: save: %w", err)
	}
	return b, nil
}

// pack is the inverse of unpack.
func pack(s saved) ([]byte, error) {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	err := errors.Join(json.NewEncoder(z).Encode(s), z.Close())
	return out.Bytes(), err
}

func (f *fsm) save() (saved, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := saved{Format: savedFormat, Cluster: f.machine.Cluster(), Index: f.index, Parts: map[string][]byte{}}
	for name, p := range f.parts {
		if slices.Contains(f.own, name) {
			continue
		}
		b, err := p.Snapshot()
		if err != nil {
			return s, fmt.Errorf("part %s: %w", name, err)
		}
		s.Parts[name] = b
	}
	return s, nil
}

// Load replaces the parts, everywhere, by what Save returned: of this fleet or of another. It needs an open gate.
func (n *Node) Load(ctx context.Context, b []byte) error {
	if !n.lease.Allow() && !n.witness() {
		return fmt.Errorf("control: load: %w: this gateway may not write now", ErrNoQuorum)
	}
	s, err := unpack(b)
	if err == nil && len(s.Parts) == 0 {
		err = fmt.Errorf("%w: it holds nothing", ErrBadSnapshot)
	}
	if err != nil {
		return fmt.Errorf("control: load: %w", err)
	}
	if _, _, err := n.submit(ctx, append([]byte{entryLoad}, b...)); err != nil {
		return fmt.Errorf("control: load: %w", err)
	}
	return nil
}

func unpack(b []byte) (saved, error) {
	var s saved
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return s, fmt.Errorf("%w: %w", ErrBadSnapshot, err)
	}
	all, err := io.ReadAll(io.LimitReader(z, maxSaved+1))
	if err != nil {
		return s, fmt.Errorf("%w: it is cut: %w", ErrBadSnapshot, err)
	}
	if len(all) > maxSaved {
		return s, fmt.Errorf("%w: it is larger than %d bytes", ErrBadSnapshot, maxSaved)
	}
	if err := json.Unmarshal(all, &s); err != nil {
		return s, fmt.Errorf("%w: %w", ErrBadSnapshot, err)
	}
	if s.Format < 1 || s.Format > savedFormat {
		return s, fmt.Errorf("%w: format %d, this release reads %d", ErrBadSnapshot, s.Format, savedFormat)
	}
	return s, nil
}

// holds returns an error if this release does not know one of the parts, or it is none to be loaded.
func (f *fsm) holds(parts map[string][]byte) error {
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		if f.parts[name] == nil || slices.Contains(f.own, name) {
			return fmt.Errorf("%w: part %.40q: %w", ErrBadSnapshot, name, authority.ErrNewer)
		}
	}
	return nil
}

// load puts the parts in the place of those that are; either all of them or none. What a newer leader took for good,
// and this release cannot read, stops it: others have those parts now.
func (f *fsm) load(b []byte) error {
	s, err := unpack(b)
	if err == nil {
		err = f.holds(s.Parts)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", authority.ErrNewer, err)
	}
	before := map[string][]byte{}
	for _, name := range slices.Sorted(maps.Keys(s.Parts)) {
		p := f.parts[name]
		if before[name], err = p.Snapshot(); err == nil {
			err = p.Restore(s.Parts[name])
		}
		if err != nil {
			return errors.Join(err, f.back(before))
		}
	}
	return nil
}

func (f *fsm) back(before map[string][]byte) error {
	var problems []error
	for name, b := range before {
		problems = append(problems, f.parts[name].Restore(b))
	}
	return errors.Join(problems...)
}
