package authority

import (
	"errors"
	"fmt"
)

// Forcing is one use of Force. It is kept for ever, up to MaxForced.
type Forcing struct {
	Index   Index   `json:"index"`
	Version Version `json:"version"`
	By      string  `json:"by"`
	At      string  `json:"at"`
}

// MaxForced bounds how often a cluster can be forced.
const MaxForced = 1000

// force trusts its word that no gate is open: the others are off, and whoever proposed it waited.
func (m *Machine) force(c Force) (*Event, error) {
	if len(m.s.Forced) >= MaxForced {
		return nil, fmt.Errorf("it was forced %d times already", MaxForced)
	}
	if !named(c.By, c.At) {
		return nil, errors.New("who forces it, or when, is empty or too long")
	}
	q, err := m.admit(c.Quorum, c.Declared)
	if err != nil {
		return nil, err
	}
	for _, g := range m.s.Gateways {
		if g.Fenced == 0 {
			g.Fenced = m.s.Index
		}
	}
	version := max(m.s.Ruling.Version, c.Above) + 1
	m.s.Ruling, m.s.Declared, m.lives = Ruling{Version: version, Now: q}, c.Declared, nil
	m.s.Forced = append(m.s.Forced, Forcing{Index: m.s.Index, Version: version, By: c.By, At: c.At})
	return &Event{Kind: Forced, Version: version}, nil
}

// Forced returns every forcing, the oldest first.
func (m *Machine) Forced() []Forcing { return m.s.Forced }
