package authority

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// snapshotFormat is the newest form of a snapshot that this release reads, and the one it writes.
const snapshotFormat = 1

// MaxSnapshot bounds a snapshot, in bytes.
const MaxSnapshot = 1 << 30

type snapshotFile struct {
	Format int             `json:"format"`
	State  json.RawMessage `json:"state"`
}

// Snapshot returns the state as bytes for Restore.
func (m *Machine) Snapshot() ([]byte, error) {
	b, err := json.Marshal(m.s)
	if err != nil {
		return nil, fmt.Errorf("authority: snapshot: %w", err)
	}
	return json.Marshal(snapshotFile{Format: snapshotFormat, State: b})
}

// Restore replaces the state by a snapshot's; on an error the state stays. ErrNewer: a newer release wrote it.
func (m *Machine) Restore(snapshot []byte) error {
	if len(snapshot) > MaxSnapshot {
		return fmt.Errorf("authority: snapshot of %d bytes, more than %d", len(snapshot), MaxSnapshot)
	}
	var f snapshotFile
	if err := json.Unmarshal(snapshot, &f); err != nil {
		return fmt.Errorf("authority: snapshot: %w", err)
	}
	if f.Format > snapshotFormat {
		return fmt.Errorf("authority: snapshot of format %d, this release reads up to %d: %w", f.Format, snapshotFormat, ErrNewer)
	}
	s := state{Gateways: map[string]*Gateway{}, Claims: map[string]Claim{}}
	d := json.NewDecoder(bytes.NewReader(f.State))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return fmt.Errorf("authority: snapshot: %w: %w", ErrNewer, err)
	}
	if err := m.revive(&s); err != nil {
		return fmt.Errorf("authority: snapshot: %w", err)
	}
	m.s, m.lives = s, nil
	return nil
}

// revive parses the rules of a state and checks that it is whole.
func (m *Machine) revive(s *state) (err error) {
	if len(s.Gateways) > MaxGateways || len(s.Claims) > m.claims {
		return fmt.Errorf("%d gateways (most %d) or %d claims (most %d)", len(s.Gateways), MaxGateways, len(s.Claims), m.claims)
	}
	for name, g := range s.Gateways {
		if g == nil || g.Gateway != name {
			return fmt.Errorf("gateway %.40q is damaged", name)
		}
	}
	if s.Cluster == "" {
		return nil
	}
	if s.Ruling.Now.Rule, err = m.rules.Parse(s.Ruling.Now.Source); err != nil {
		return err
	}
	if b := s.Ruling.Before; b != nil {
		b.Rule, err = m.rules.Parse(b.Source)
	}
	return err
}
