package authority

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// MachineConfig is what the state machine needs from outside; it must be the same at every voter.
type MachineConfig struct {
	// Rules reads and admits quorum rules.
	Rules Rules
}

// MaxClaims bounds the claims kept. A claim beyond is refused, so every release must have the same bound.
const MaxClaims = 1 << 18

// Machine is the replicated state: it applies the entries of the log in order and judges each by what came
// before. It is not safe for concurrent use; a View may be handed to others.
type Machine struct {
	rules  Rules
	claims int // MaxClaims
	s      state
	// lives is Standing by gateway as it is handed out, nil when it must be built anew.
	lives []Standing
}

// state is what a snapshot holds.
type state struct {
	Cluster  string              `json:"cluster"`
	Index    Index               `json:"index"`
	Declared int                 `json:"declared"`
	Ruling   Ruling              `json:"ruling"`
	Gateways map[string]*Gateway `json:"gateways"`
	Claims   map[string]Claim    `json:"claims"`
	Forced   []Forcing           `json:"forced"`
}

// Gateway is an entry of the roster.
type Gateway struct {
	Standing
	Region string `json:"region"`
	Store  string `json:"store"`
}

// EventKind says what an entry changed.
type EventKind uint8

// The kinds of events.
const (
	Bootstrapped EventKind = iota
	Joined
	Left
	Suspected
	Cleared
	Fenced
	Removed
	ChangeBegan
	ChangeFinished
	ChangeRestored
	Claimed
	Forgotten
	Forced
	ClaimRefused
)

// String returns the word for a log line.
func (k EventKind) String() string {
	if k > ClaimRefused {
		return "invalid"
	}
	return [...]string{
		"bootstrapped", "joined", "left", "suspected", "cleared", "fenced", "removed",
		"rule change began", "rule change finished", "rule change taken back", "claimed", "forgotten", "forced", "claim refused",
	}[k]
}

// Event is what an entry changed. Fields that say nothing of its kind are zero.
type Event struct {
	Kind    EventKind
	Index   Index
	Life    Life
	Version Version
	Record  string
	Why     string // a claim was refused
}

// NewMachine returns the state before the first entry.
func NewMachine(cfg MachineConfig) (*Machine, error) {
	if cfg.Rules == nil {
		return nil, errors.New("authority: machine: rules are missing")
	}
	return &Machine{rules: cfg.Rules, claims: MaxClaims, s: state{Gateways: map[string]*Gateway{}, Claims: map[string]Claim{}}}, nil
}

// Apply applies the entry at index and returns what it changed. ErrRefused: the entry changes nothing, here and
// at every other voter. Any other error means that this release cannot read the entry: the state still is
// what it was before, and this voter must stop.
func (m *Machine) Apply(index Index, command []byte) ([]Event, error) {
	c, err := Decode(command)
	if err != nil {
		return nil, fmt.Errorf("authority: entry %d: %w", index, err)
	}
	return m.ApplyCommand(index, c)
}

// ApplyCommand is Apply of a command that is decoded already. The caller must not change c afterwards.
func (m *Machine) ApplyCommand(index Index, c Command) ([]Event, error) {
	if index <= m.s.Index {
		return nil, fmt.Errorf("authority: entry %d: %w: entries up to %d are applied", index, ErrRefused, m.s.Index)
	}
	before := m.s.Index
	m.s.Index = index
	events, err := m.judge(c)
	if errors.Is(err, ErrNewer) { // a rule that this release cannot read: another may well accept it
		m.s.Index = before
		return nil, fmt.Errorf("authority: entry %d: %s: %w", index, c.kind(), err)
	}
	if err != nil {
		return nil, fmt.Errorf("authority: entry %d: %s %w: %w", index, c.kind(), ErrRefused, err)
	}
	for i := range events {
		events[i].Index = index
	}
	return events, nil
}

// judge applies one command; no event and no error where there is nothing left to do.
func (m *Machine) judge(c Command) ([]Event, error) {
	if err := m.begun(c); err != nil {
		return nil, err
	}
	if many, ok := c.(Takes); ok {
		return m.takes(many)
	}
	e, err := m.judgeOne(c)
	if e == nil {
		return nil, err
	}
	return []Event{*e}, err
}

// begun refuses what cannot be the first entry.
func (m *Machine) begun(c Command) error {
	if m.s.Cluster != "" {
		return nil
	}
	switch c.(type) {
	case Bootstrap, Noop:
		return nil
	}
	return errors.New("the cluster is not bootstrapped")
}

// judgeOne applies a command that changes one thing.
func (m *Machine) judgeOne(c Command) (*Event, error) {
	switch c := c.(type) {
	case Bootstrap:
		return m.bootstrap(c)
	case Join:
		return m.join(c)
	case Leave:
		return m.leave(c)
	case Suspect:
		return m.suspect(c)
	case Clear:
		return m.clear(c)
	case Fence:
		return m.fence(c)
	case Remove:
		return m.remove(c)
	case Change:
		return m.change(c)
	case Finish:
		return m.finish(c)
	case Restore:
		return m.restore(c)
	case Take:
		return m.take(c)
	case Forget:
		return m.forget(c)
	case Force:
		return m.force(c)
	}
	return nil, nil //nolint:nilnil // a no-op changes nothing and is not refused
}

// Index is the last entry applied.
func (m *Machine) Index() Index { return m.s.Index }

// Cluster is the cluster's id; "" before the first entry.
func (m *Machine) Cluster() string { return m.s.Cluster }

// Declared is how many voters the fleet is to have in the end.
func (m *Machine) Declared() int { return m.s.Declared }

// Ended reports whether a life is over for good, so that what it owned may be claimed: incarnations are indexes,
// and one that is not there now and is not after the last entry will never be.
func (m *Machine) Ended(l Life) bool {
	_, err := m.live(l)
	return err != nil && l.Incarnation != 0 && l.Incarnation <= m.s.Index
}

// View is what gates, voters and sealers are told.
func (m *Machine) View() View {
	if m.lives == nil {
		m.lives = make([]Standing, 0, len(m.s.Gateways))
		for _, g := range m.s.Gateways {
			m.lives = append(m.lives, g.Standing)
		}
		slices.SortFunc(m.lives, func(a, b Standing) int { return cmp.Compare(a.Gateway, b.Gateway) })
	}
	return View{Index: m.s.Index, Ruling: m.s.Ruling, Lives: m.lives}
}

// Gateways returns the roster's gateways, by name.
func (m *Machine) Gateways() []Gateway {
	var all []Gateway
	for _, name := range slices.Sorted(maps.Keys(m.s.Gateways)) {
		all = append(all, *m.s.Gateways[name])
	}
	return all
}
