package control

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/internal/authority"
)

// fsm is the replicated state: authority and the parts. Raft applies to it; others read what it publishes.
type fsm struct {
	rules   authority.Rules
	machine *authority.Machine
	parts   map[string]Part
	own     []string // parts that are neither saved nor loaded
	// pristine are the parts as they were before the first entry.
	pristine map[string][]byte
	applied  chan struct{} // of one; signaled after every change of the view
	event    func(authority.Event)

	mu       sync.Mutex // held while something is applied or read
	index    uint64     // last applied
	grown    growth
	epoch    uint64 // index of the last entry that ended a life, or made or changed the rule
	marks    []Mark // the newest last
	times    [timesKept]appliedAt
	stuck    error  // what this release cannot read, or could not restore; nothing after it is applied
	told     uint64 // what happened up to this entry was told before this process began
	waiting  map[chan struct{}]uint64
	over     []authority.Life    // those that ended, until somebody has been told
	ends     chan struct{}       // of one; signaled after over has grown
	gateways []authority.Gateway // as the roster is now, built when it is asked for
}

// Mark is the digest of the state after the entry of a mark.
type Mark struct {
	ID     string `json:"id"`
	Index  uint64 `json:"index"`
	Digest string `json:"digest"`
}

// timesKept bounds the entries whose time is remembered.
const timesKept = 1024

// appliedAt is when an entry was applied here.
type appliedAt struct {
	index uint64
	at    time.Time
}

// since is how long ago the first remembered entry after index was applied here; 0: none was.
func (f *fsm) since(index uint64) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	first := appliedAt{}
	for _, t := range f.times {
		if t.index > index && (first.index == 0 || t.index < first.index) {
			first = t
		}
	}
	if first.index == 0 {
		return 0
	}
	return time.Since(first.at)
}

// marksKept bounds the digests remembered.
const marksKept = 16

func newFSM(rules authority.Rules, parts map[string]Part, event func(authority.Event)) (*fsm, error) {
	m, err := authority.NewMachine(authority.MachineConfig{Rules: rules})
	if err != nil {
		return nil, err
	}
	f := &fsm{
		rules: rules, machine: m, parts: parts, applied: make(chan struct{}, 1), event: event, waiting: map[chan struct{}]uint64{},
		pristine: map[string][]byte{}, ends: make(chan struct{}, 1),
	}
	for name, p := range parts {
		if f.pristine[name], err = p.Snapshot(); err != nil {
			return nil, fmt.Errorf("control: part %s: %w", name, err)
		}
	}
	return f, nil
}

// reset goes back to before the first entry, for a log that is read again from its beginning.
func (f *fsm) reset() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	m, err := authority.NewMachine(authority.MachineConfig{Rules: f.rules})
	if err != nil {
		return err
	}
	for name, p := range f.parts {
		if err := p.Restore(f.pristine[name]); err != nil {
			return fmt.Errorf("control: part %s: %w", name, err)
		}
	}
	f.machine, f.index, f.epoch, f.marks, f.gateways, f.stuck = m, 0, 0, nil, nil, nil
	return nil
}

// tellAfter has events told only of entries after this one.
func (f *fsm) tellAfter(index uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told = index
}

// outcome is what Raft hands back of an entry.
type outcome struct {
	result []byte
	err    error
}

// Apply implements raft.FSM.
func (f *fsm) Apply(l *raft.Log) any {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stuck != nil {
		return outcome{err: f.stuck}
	}
	result, err := f.entry(l.Index, l.Data)
	if errors.Is(err, authority.ErrNewer) {
		f.stuck = fmt.Errorf("control: entry %d: %w", l.Index, err)
		f.wake()
		return outcome{err: f.stuck}
	}
	f.index = l.Index
	f.grow(l)
	f.times[l.Index%timesKept] = appliedAt{l.Index, time.Now()}
	f.wake()
	return outcome{result: result, err: err}
}

func (f *fsm) entry(index uint64, b []byte) ([]byte, error) {
	if len(b) == 0 {
		return nil, fmt.Errorf("%w: an empty entry", ErrRefused)
	}
	switch b[0] {
	case entryAuthority:
		return f.authority(index, b[1:])
	case entryPart:
		return f.part(index, b[1:])
	case entryMark:
		return nil, f.mark(index, string(b[1:min(len(b), 1+maxMark)]))
	case entryLoad:
		return nil, f.load(b[1:])
	}
	return nil, fmt.Errorf("%w: entry of kind %d", authority.ErrNewer, b[0])
}

func (f *fsm) authority(index uint64, command []byte) ([]byte, error) {
	before := f.machine.View()
	events, err := f.machine.Apply(authority.Index(index), command)
	if err != nil && !errors.Is(err, authority.ErrRefused) { // another release may read it
		return nil, fmt.Errorf("%w: %w", authority.ErrNewer, err)
	}
	if err != nil {
		return nil, err
	}
	f.happened(index, events, &before.Ruling)
	f.ended(index, before.Lives)
	return verdicts(events)
}

// ended collects the lives that were there and are over.
func (f *fsm) ended(index uint64, before []authority.Standing) {
	if index <= f.told {
		return
	}
	for i := range before {
		if s := &before[i]; s.Fenced == 0 && f.machine.Ended(s.Life) {
			f.over = append(f.over, s.Life)
		}
	}
	if len(f.over) > 0 {
		select {
		case f.ends <- struct{}{}:
		default:
		}
	}
}

// happened tells what an entry changed. A promise that moves, and nothing else, begins no epoch: nothing has ended.
func (f *fsm) happened(index uint64, events []authority.Event, before *authority.Ruling) {
	for _, e := range events {
		switch e.Kind {
		case authority.Bootstrapped, authority.Left, authority.Fenced, authority.Forced:
			f.epoch = index
		case authority.ChangeBegan, authority.ChangeFinished, authority.ChangeRestored:
			if now := f.machine.View().Ruling; !now.Asks(before) {
				f.epoch = index
			}
		}
		f.gateways = nil
		if index > f.told {
			f.event(e)
		}
	}
}

func (f *fsm) part(index uint64, b []byte) ([]byte, error) {
	name, command, err := splitPart(b)
	if err != nil {
		return nil, err
	}
	p := f.parts[name]
	if p == nil {
		return nil, fmt.Errorf("%w: part %.40q", authority.ErrNewer, name)
	}
	return p.Apply(index, command)
}

// digest returns that of the state as it is now.
func (f *fsm) digest() (Mark, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sum("", f.index)
}

// sum is called with f.mu held.
func (f *fsm) sum(id string, index uint64) (Mark, error) {
	b, err := f.image(f.freeze())
	if err != nil {
		return Mark{}, err
	}
	sum := sha256.Sum256(b)
	return Mark{ID: id, Index: index, Digest: hex.EncodeToString(sum[:])}, nil
}

// mark keeps the digest of the state.
func (f *fsm) mark(index uint64, id string) error {
	m, err := f.sum(id, index)
	if err != nil {
		return err
	}
	f.marks = append(f.marks, m)
	f.marks = f.marks[max(0, len(f.marks)-marksKept):]
	return nil
}

// wake tells whoever waits that something was applied; f.mu is held.
func (f *fsm) wake() {
	select {
	case f.applied <- struct{}{}:
	default:
	}
	for c, until := range f.waiting {
		if f.index >= until || f.stuck != nil {
			close(c)
			delete(f.waiting, c)
		}
	}
}

// reached returns a channel that is closed once the entry at index is applied here, and what forgets it.
func (f *fsm) reached(index uint64) (<-chan struct{}, func()) {
	c := make(chan struct{})
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.index >= index || f.stuck != nil {
		close(c)
		return c, func() {}
	}
	f.waiting[c] = index
	return c, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.waiting, c)
	}
}

// published is what the others read of the state.
type published struct {
	view     authority.View
	cluster  string
	declared int
	index    uint64
	epoch    uint64
	gateways []authority.Gateway
	forced   []authority.Forcing
	stuck    error
}

func (f *fsm) read() published {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.gateways == nil {
		f.gateways = f.machine.Gateways()
	}
	return published{
		view: f.machine.View(), cluster: f.machine.Cluster(), declared: f.machine.Declared(), index: f.index,
		epoch: f.epoch, gateways: f.gateways, forced: f.machine.Forced(), stuck: f.stuck,
	}
}

func (f *fsm) marked(id string) (Mark, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.marks {
		if m.ID == id {
			return m, true
		}
	}
	return Mark{}, false
}
