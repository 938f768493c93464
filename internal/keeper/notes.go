package keeper

import "sync"

// maxNotes bounds the sessions whose changes are noted.
const maxNotes = 200_000

// notes are the changes that this gateway has made alone: while it may not write, and what had not reached anybody when
// that began. They are what is reported if another gateway has claimed the sessions meanwhile; by the time that this one
// hears of it, its copies may have been replaced already.
type notes struct {
	mu  sync.Mutex
	all map[string]change // by record
}

// made notes one more change.
func (n *notes) made(c change) {
	n.mu.Lock()
	defer n.mu.Unlock()
	c.changes = n.all[c.ID].changes + 1
	n.put(c)
}

// found notes a state of which so many changes have reached nobody.
func (n *notes) found(c change) {
	n.mu.Lock()
	defer n.mu.Unlock()
	c.changes = max(c.changes, n.all[c.ID].changes)
	n.put(c)
}

func (n *notes) put(c change) {
	c.Contents = nil
	if _, known := n.all[c.ID]; !known && len(n.all) >= maxNotes {
		return
	}
	if n.all == nil {
		n.all = map[string]change{}
	}
	n.all[c.ID] = c
}

func (n *notes) list() []change {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := make([]change, 0, len(n.all))
	for _, c := range n.all {
		all = append(all, c)
	}
	return all
}

func (n *notes) clear() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.all)
}

// note takes down what has reached nobody when this gateway finds that it may not write any more.
func (k *Keeper) note() {
	for _, c := range k.alone() {
		k.notes.found(c)
	}
}
