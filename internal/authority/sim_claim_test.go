package authority

import (
	"fmt"
	"slices"
)

// Every life mints one record. Gateways with an open gate claim what lives left that have ended, and now and
// then give a record away.

func recordOf(l Life) string { return "record of " + l.String() }

// owns reports whether this gateway thinks that it owns the record.
func (n *node) owns(record string, minter Life) bool {
	c := n.m.Owner(record, minter)
	given, gave := n.ballots[record]
	return n.gate.Life().Incarnation != 0 && c.Owner == n.gate.Life() && (!gave || given != c.Ballot)
}

// claim collects what there is to claim now. Some of it goes into one entry, some into entries of their own.
func (n *node) claim() {
	var together []Take
	propose := func(t Take) {
		if n.w.plan.batch && n.w.rng.IntN(4) > 0 {
			together = append(together, t)
			return
		}
		n.propose(t)
	}
	for _, minter := range n.w.lives {
		record := recordOf(minter)
		now := n.m.Owner(record, minter)
		take := Take{Record: record, Minter: minter, Replaces: now.Ballot, Claimant: n.gate.Life()}
		switch _, gave := n.ballots[record]; {
		case n.m.Ended(now.Owner) && n.w.rng.IntN(3) == 0:
			propose(take)
		case n.owns(record, minter) && n.w.rng.Float64() < n.w.plan.give:
			n.give(take)
		case gave && now.Owner == n.gate.Life() && n.ballots[record] == now.Ballot && n.w.rng.IntN(10) == 0:
			take.Released = true // nobody took it: back by a claim, as anyone else
			propose(take)
		}
	}
	if len(together) > 0 {
		n.w.seen["claims together"] += len(together)
		n.propose(Takes{together})
	}
}

// give stops using a record and releases it to another gateway, who claims it whenever it gets to it.
func (n *node) give(t Take) {
	n.ballots[t.Record] = t.Replaces
	t.Released = true
	n.w.seen["released"]++
	n.w.send(n.i, n.w.rng.IntN(n.w.n), func(to *node) {
		to.after(to.w.some(to.w.plan.relay), func() {
			if t.Claimant = to.gate.Life(); to.allow() {
				to.propose(t)
			}
		})
	})
}

// judgeOwners checks that no record has two gateways that think they own it and may write.
func (w *world) judgeOwners() {
	for _, minter := range w.lives {
		record := recordOf(minter)
		var owners []string
		for _, n := range w.nodes {
			if n.open() && n.owns(record, minter) {
				owners = append(owners, n.gate.Life().String())
			}
		}
		if len(owners) > 1 {
			w.violation(fmt.Sprintf("%s has the owners %v", record, owners))
		}
	}
	if len(w.lives) > 40 {
		w.lives = slices.Clone(w.lives[len(w.lives)-40:])
	}
}
