package control

import (
	"github.com/quorate/quorate/internal/authority"
	"github.com/quorate/quorate/internal/rulebook"
	"github.com/quorate/quorate/strategies"
)

// Life returns this gateway's present life; incarnation 0: none now. It is called on the request path.
func (n *Node) Life() authority.Life {
	incarnation := authority.Index(n.driver.life.Load())
	if incarnation == 0 {
		return authority.Life{}
	}
	return authority.Life{Gateway: n.cfg.Gateway, Incarnation: incarnation}
}

// Owner returns who owns a record that a life minted, and since when, by what is applied here.
func (n *Node) Owner(record string, minter authority.Life) authority.Claim {
	n.fsm.mu.Lock()
	defer n.fsm.mu.Unlock()
	return n.fsm.machine.Owner(record, minter)
}

// Ended reports whether a life is over for good, by what is applied here. One that is newer than that has not ended.
func (n *Node) Ended(l authority.Life) bool {
	n.fsm.mu.Lock()
	defer n.fsm.mu.Unlock()
	return n.fsm.machine.Ended(l)
}

// Carrier is a gateway that carries traffic, and whose life has not ended.
type Carrier struct {
	Gateway string
	Region  string
	Store   string // of its control group; with another one it has lost what it held
	Life    authority.Life
}

// Carriers returns them by name, this gateway among them, by what is applied here.
func (n *Node) Carriers() []Carrier {
	var all []Carrier
	for _, g := range n.fsm.read().gateways {
		if g.Fenced == 0 {
			all = append(all, Carrier{Gateway: g.Gateway, Region: g.Region, Store: g.Store, Life: g.Life})
		}
	}
	return all
}

// Roster returns the committed roster as strategies are shown it, by what is applied here; empty while there is none.
func (n *Node) Roster() strategies.Roster {
	p := n.fsm.read()
	if len(p.view.Ruling.Now.Voters) == 0 {
		return nil
	}
	return rulebook.Input(p.view.Ruling.Now.Voters, p.gateways, 0, nil).Roster
}
