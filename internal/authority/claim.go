package authority

import (
	"errors"
	"fmt"
)

// Claim says who owns a record since when. A record without one is its minter's, with ballot 0.
type Claim struct {
	Ballot Index `json:"ballot"`
	Owner  Life  `json:"owner"`
}

// Owner returns the ballot and the owner of a record that this life minted.
func (m *Machine) Owner(record string, minter Life) Claim {
	if c, ok := m.s.Claims[record]; ok {
		return c
	}
	return Claim{Owner: minter}
}

// Claims is how many claims are kept.
func (m *Machine) Claims() int { return len(m.s.Claims) }

// take moves a record to a new owner, if its present one cannot act under its ballot any more.
func (m *Machine) take(c Take) (*Event, error) {
	if !named(c.Record) {
		return nil, errors.New("the record's name is empty or too long")
	}
	now := m.Owner(c.Record, c.Minter)
	if c.Replaces != now.Ballot {
		return nil, fmt.Errorf("the record's ballot is %d, not %d", now.Ballot, c.Replaces)
	}
	if now.Ballot == m.s.Index { // one ballot never has two owners
		return nil, errors.New("this very entry has claimed the record already")
	}
	if _, err := m.live(c.Claimant); err != nil {
		return nil, err
	}
	if !c.Released && !m.Ended(now.Owner) {
		return nil, fmt.Errorf("its owner %s is neither fenced nor has released it", now.Owner)
	}
	if now.Ballot == 0 && len(m.s.Claims) >= m.claims {
		return nil, fmt.Errorf("%d claims are kept already", m.claims)
	}
	m.s.Claims[c.Record] = Claim{Ballot: m.s.Index, Owner: c.Claimant}
	return &Event{Kind: Claimed, Life: c.Claimant, Record: c.Record}, nil
}

// takes judges claims one after the other. There is an event for each, in their order.
func (m *Machine) takes(c Takes) ([]Event, error) {
	if len(c.Claims) < 1 || len(c.Claims) > MaxTakes {
		return nil, fmt.Errorf("%d claims are outside 1..%d", len(c.Claims), MaxTakes)
	}
	all := make([]Event, 0, len(c.Claims))
	for _, t := range c.Claims {
		e, err := m.take(t)
		if err != nil {
			e = &Event{Kind: ClaimRefused, Life: t.Claimant, Record: t.Record, Why: err.Error()}
		}
		all = append(all, *e)
	}
	return all, nil
}

// EachClaim calls f with every claim, in no order, until it returns false.
func (m *Machine) EachClaim(f func(record string, c Claim) bool) {
	for record, c := range m.s.Claims {
		if !f(record, c) {
			return
		}
	}
}

func (m *Machine) forget(c Forget) (*Event, error) {
	for record, ballot := range c.Ballots {
		if m.s.Claims[record].Ballot == ballot {
			delete(m.s.Claims, record)
		}
	}
	return &Event{Kind: Forgotten}, nil
}
