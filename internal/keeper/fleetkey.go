package keeper

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/internal/keeper/sessionid"
)

// PartName is the name of the fleet key's part of the replicated state.
const PartName = "sessions"

// keyFormat is the newest form of commands and snapshots that this release reads, and the one that it writes.
const keyFormat = 1

// maxKeyCommand bounds a command and a snapshot, in bytes.
const maxKeyCommand = 1 << 10

// Errors of the part that callers branch on.
var (
	// ErrRefused: nothing changed, here and everywhere.
	ErrRefused = errors.New("refused")
	// ErrNewer: a newer release wrote this. A gateway that meets it in the log must stop applying.
	ErrNewer = errors.New("written by a newer release")
)

// FleetKey is the part of the replicated state that holds the key which session ids are proved by. It is set once.
// Apply, Snapshot and Restore are for one goroutine.
type FleetKey struct{ key atomic.Pointer[[]byte] }

// Key returns the key, nil until it is known. Nobody may change it.
func (p *FleetKey) Key() []byte {
	if k := p.key.Load(); k != nil {
		return *k
	}
	return nil
}

type keyCommand struct {
	Format int    `json:"format"`
	Key    []byte `json:"key"`
}

// Apply takes in the first key that is proposed. ErrRefused: there is one already.
func (p *FleetKey) Apply(index uint64, command []byte) ([]byte, error) {
	key, err := readKey(command)
	switch {
	case err != nil:
		return nil, fmt.Errorf("keeper: entry %d: %w", index, err)
	case p.Key() != nil:
		return nil, fmt.Errorf("keeper: entry %d: %w: the fleet has a key", index, ErrRefused)
	}
	p.key.Store(&key)
	return nil, nil
}

// Snapshot returns the key as bytes for Restore: none while there is none.
func (p *FleetKey) Snapshot() ([]byte, error) {
	if p.Key() == nil {
		return nil, nil
	}
	return json.Marshal(keyCommand{keyFormat, p.Key()})
}

// Restore replaces the key by a snapshot's.
func (p *FleetKey) Restore(snapshot []byte) error {
	if len(snapshot) == 0 {
		p.key.Store(nil)
		return nil
	}
	key, err := readKey(snapshot)
	if err != nil {
		return fmt.Errorf("keeper: restore: %w", err)
	}
	p.key.Store(&key)
	return nil
}

func readKey(b []byte) ([]byte, error) {
	var c keyCommand
	if len(b) > maxKeyCommand {
		return nil, fmt.Errorf("%w: %d bytes", ErrRefused, len(b))
	}
	if json.Unmarshal(b, &c) != nil { // the decoder's text would quote the sender
		return nil, fmt.Errorf("%w: malformed", ErrRefused)
	}
	if c.Format > keyFormat {
		return nil, fmt.Errorf("%w: format %d, this release reads up to %d", ErrNewer, c.Format, keyFormat)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return nil, fmt.Errorf("%w: a field of another release", ErrNewer)
	}
	if len(c.Key) != sessionid.KeyBytes {
		return nil, fmt.Errorf("%w: a key of %d bytes", ErrRefused, len(c.Key))
	}
	return c.Key, nil
}

// Group is the control group as the key is proposed to it.
type Group interface {
	Allow() bool
	// AllRead reports whether every member of the group runs a release that has these parts.
	AllRead(ctx context.Context, names ...string) bool
	Propose(ctx context.Context, part string, command []byte) (index uint64, result []byte, err error)
}

// mintEvery is how often a gateway without a key tries to give the fleet one.
const mintEvery = 100 * time.Millisecond

// Mint has the fleet agree on a key, unless it has one, as soon as this gateway may write and every member reads the
// part. It returns when there is a key or ctx ends.
func (p *FleetKey) Mint(ctx context.Context, g Group, log *slog.Logger) {
	tick := time.NewTicker(mintEvery)
	defer tick.Stop()
	for p.Key() == nil {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if p.Key() != nil || !g.Allow() || !g.AllRead(ctx, PartName) {
			continue
		}
		if err := p.propose(ctx, g); err != nil && p.Key() == nil {
			log.Debug("no key for session ids yet", "cause", err.Error())
		}
	}
}

func (p *FleetKey) propose(ctx context.Context, g Group) error {
	key := make([]byte, sessionid.KeyBytes)
	rand.Read(key) // never fails: crypto/rand ends the program instead
	command, err := json.Marshal(keyCommand{keyFormat, key})
	if err != nil {
		return err
	}
	_, _, err = g.Propose(ctx, PartName, command)
	return err
}
