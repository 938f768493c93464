package authority

import (
	"errors"
	"fmt"
)

func (m *Machine) bootstrap(c Bootstrap) (*Event, error) {
	if m.s.Cluster != "" {
		return nil, fmt.Errorf("the cluster is %s already", m.s.Cluster)
	}
	if !named(c.Cluster) {
		return nil, errors.New("the cluster id is empty or too long")
	}
	q, err := m.admit(c.Quorum, c.Declared)
	if err != nil {
		return nil, err
	}
	m.s.Cluster, m.s.Declared, m.s.Ruling = c.Cluster, c.Declared, Ruling{Version: 1, Now: q}
	return &Event{Kind: Bootstrapped, Version: 1}, nil
}

func (m *Machine) join(c Join) (*Event, error) {
	if !named(c.Gateway, c.Region, c.Store, c.Nonce) {
		return nil, errors.New("gateway, region, store or nonce is empty or too long")
	}
	g := m.s.Gateways[c.Gateway]
	switch {
	case g == nil && len(m.s.Gateways) >= MaxGateways:
		return nil, fmt.Errorf("the roster is full with %d gateways", MaxGateways)
	case g != nil && g.Nonce == c.Nonce && g.Fenced != 0:
		return nil, fmt.Errorf("the life %s has ended; a new one needs another nonce", g.Life)
	case g != nil && g.Nonce == c.Nonce:
		return nil, nil //nolint:nilnil // proposed twice
	case g != nil && g.Fenced == 0:
		return nil, fmt.Errorf("the life %s has not ended", g.Life)
	}
	life := Life{c.Gateway, m.s.Index}
	m.s.Gateways[c.Gateway] = &Gateway{Standing: Standing{Life: life, Nonce: c.Nonce}, Region: c.Region, Store: c.Store}
	m.lives = nil
	return &Event{Kind: Joined, Life: life}, nil
}

// live returns the roster's entry of a life that has not ended.
func (m *Machine) live(l Life) (*Gateway, error) {
	g := m.s.Gateways[l.Gateway]
	if g == nil || g.Life != l || g.Fenced != 0 {
		return nil, fmt.Errorf("no life %s now", l)
	}
	return g, nil
}

func (m *Machine) leave(c Leave) (*Event, error) {
	g, err := m.live(c.Life)
	if err != nil {
		return nil, err
	}
	g.Fenced, m.lives = m.s.Index, nil
	return &Event{Kind: Left, Life: c.Life}, nil
}

func (m *Machine) suspect(c Suspect) (*Event, error) {
	g, err := m.live(c.Life)
	if err != nil {
		return nil, err
	}
	if g.Suspect != 0 {
		return nil, fmt.Errorf("%s is under suspicion %d already", c.Life, g.Suspect)
	}
	g.Suspect, m.lives = m.s.Index, nil
	return &Event{Kind: Suspected, Life: c.Life}, nil
}

// suspected returns the entry of a live life that is under this very suspicion.
func (m *Machine) suspected(l Life, suspect Index) (*Gateway, error) {
	g, err := m.live(l)
	if err != nil {
		return nil, err
	}
	if suspect == 0 || g.Suspect != suspect {
		return nil, fmt.Errorf("%s is not under suspicion %d", l, suspect)
	}
	return g, nil
}

func (m *Machine) clear(c Clear) (*Event, error) {
	g, err := m.suspected(c.Life, c.Suspect)
	if err != nil {
		return nil, err
	}
	g.Suspect, m.lives = 0, nil
	return &Event{Kind: Cleared, Life: c.Life}, nil
}

func (m *Machine) fence(c Fence) (*Event, error) {
	g, err := m.suspected(c.Life, c.Suspect)
	if err != nil {
		return nil, err
	}
	if !m.s.Ruling.SatisfiedBy(c.Confirmed) {
		return nil, errors.New("the voters that confirmed do not satisfy the rule in force")
	}
	g.Fenced, m.lives = m.s.Index, nil
	return &Event{Kind: Fenced, Life: c.Life}, nil
}

func (m *Machine) remove(c Remove) (*Event, error) {
	g := m.s.Gateways[c.Gateway]
	if g == nil {
		return nil, fmt.Errorf("no gateway %.40q", c.Gateway)
	}
	if g.Fenced == 0 {
		return nil, fmt.Errorf("the life %s has not ended", g.Life)
	}
	delete(m.s.Gateways, c.Gateway)
	m.lives = nil
	return &Event{Kind: Removed, Life: g.Life}, nil
}
